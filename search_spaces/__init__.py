"""What can be built: spaces, architectures, networks and operators."""

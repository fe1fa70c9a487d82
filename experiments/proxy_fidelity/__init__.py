"""How well the search's short training ranks networks as a long one does, on digits and on Fashion-MNIST."""

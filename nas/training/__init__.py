"""Full training of chosen networks: jobs as plain data, carried by Ray Tune, their results beside the run's proxy scores."""

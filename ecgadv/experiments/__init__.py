"""What is run and recorded: configs, suites, one run, many runs, the store of their records."""

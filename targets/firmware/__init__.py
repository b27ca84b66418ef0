"""The monitor firmware: C sources of our own, and what builds them (`build`)."""

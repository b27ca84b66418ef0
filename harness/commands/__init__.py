"""The subcommands of `hil`, a file each.  They read arguments, call the harness and print; they decide nothing."""

"""SeqIO tasks, a module a system: data source × template × feature lengths × metrics."""

"""The SQL catalog: tables, repository, snapshot, seeds, importers."""

class Notes:
    """A record and a place for tables that keep what they are given."""

    def __init__(self):
        self.tables = {}
        self.metrics = {}

    def add(self, name, table):
        self.tables[name] = table

    def log_scalar(self, name, value, step):
        self.metrics.setdefault(name, {})[step] = value

    def add_artifact(self, filename, name):
        raise NotImplementedError

"""What stands for the Plug and Play part: takes everything and counts commands."""


class Handler:
    def __init__(self):
        self.calls = 0

    def on_twin(self, document):
        pass

    def on_desired(self, patch):
        pass

    def on_command(self, name, payload):
        self.calls += 1
        return 200, payload

    def on_message(self, payload, properties):
        pass

    def next_report(self):
        return None

    def on_reported(self, status):
        pass

    def on_report_lost(self):
        pass

    def on_online(self):
        pass

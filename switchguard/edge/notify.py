"""Messages for people. For now they go where the logs go."""

import logging

log = logging.getLogger(__name__)


class LogNotifier:
    """ports.Notifier."""

    def tell(self, subject: str, text: str) -> None:
        log.warning("%s: %s", subject, text)

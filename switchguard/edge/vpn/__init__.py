"""Who is connected: what VPN gateways, their accounting and lists tell about people's sessions."""

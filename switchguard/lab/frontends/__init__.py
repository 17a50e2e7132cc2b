"""Vendor command lines for the lab's switches: stateful, strict, and wired to the forwarding plane.

They prove that the real NAPALM and Netmiko drivers get through their whole conversation, and that our configuration
text is right by a grammar that cites the vendor's command reference. They do not prove anything about a vendor's
firmware.
"""

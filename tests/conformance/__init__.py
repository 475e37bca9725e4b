"""Every recorded answer through the gateway to every client dialect, read by the official SDKs: `make conformance`."""

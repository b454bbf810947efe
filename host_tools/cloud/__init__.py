"""What a person does with devices through a hub: Azure's or the local one, by Microsoft's SDKs."""

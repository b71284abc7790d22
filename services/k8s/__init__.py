"""k8s: manifests that a cluster would refuse, or worse take, found without a cluster."""

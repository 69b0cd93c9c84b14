//! Expression values, names, artifacts, actions, nodes: identities, equality, JSON text.

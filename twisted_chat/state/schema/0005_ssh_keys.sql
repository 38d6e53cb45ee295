-- The SSH keys that log in to an account, by their fingerprints, the first one first, as JSON.
ALTER TABLE accounts ADD COLUMN ssh_keys TEXT NOT NULL DEFAULT '[]';

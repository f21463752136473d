package clickhouse

import "crypto/tls"

// secure turns TLS on for a DSN that asks for it, on top of what the tls field says.
func (c *config) secure(skipVerify bool) {
	if c.cluster.TLS == nil {
		c.cluster.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	c.cluster.TLS.InsecureSkipVerify = c.cluster.TLS.InsecureSkipVerify || skipVerify
}

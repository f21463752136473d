package dimensionjoin

import (
	"context"
	"fmt"
)

// Close stops the work in the background. It is called with a context that never ends.
func (p *processor) Close(context.Context) error {
	if p.closed.Swap(true) {
		return nil
	}
	if p.watcher != nil {
		p.watcher.close()
	}
	p.joiner.Close()
	p.metrics.export(true)
	p.store.Close()
	if err := p.db.Close(); err != nil {
		return fmt.Errorf("closing the MySQL connections: %w", err)
	}
	return nil
}

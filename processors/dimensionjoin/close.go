package dimensionjoin

import "context"

// Close stops the work in the background. It is called with a context that never ends.
func (p *processor) Close(context.Context) error {
	if p.closed.Swap(true) {
		return nil
	}
	if p.inspector != nil {
		p.inspector.close()
	}
	if p.watcher != nil {
		p.watcher.close()
	}
	p.joiner.Close()
	p.metrics.export(true)
	p.store.Close()
	_ = p.db.Close() // it complains of connections that the server has closed before
	return nil
}

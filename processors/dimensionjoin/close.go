package dimensionjoin

import (
	"context"
	"time"
)

// farewell is how long the server has to take part in an orderly end. One that is silent keeps nobody waiting after that.
const farewell = time.Second

// Close stops the work in the background. It is called with a context that never ends.
func (p *processor) Close(context.Context) error {
	if p.closed.Swap(true) {
		return nil
	}
	defer p.connections.close()
	defer time.AfterFunc(farewell, p.connections.close).Stop()
	if p.inspector != nil {
		p.inspector.close()
	}
	if p.watcher != nil {
		p.watcher.close()
	}
	p.joiner.Close()
	p.metrics.close()
	p.store.Close()
	_ = p.db.Close() // it complains of connections that the server has closed before
	return nil
}

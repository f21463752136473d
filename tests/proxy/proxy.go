// Package proxy is a TCP proxy that stands between a client and a server and breaks their conversation on command.
//
// It owns faults of the network: delays, cut connections, silence, and the reply that gets lost after the request was
// carried out. It must never look at what is said; faults of a server are made by package services.
package proxy

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Mode is what the proxy does with bytes and connections.
type Mode int

const (
	// Pass forwards everything.
	Pass Mode = iota
	// BlackHole reads and drops both directions: connections stay open, new ones are accepted, nothing arrives.
	BlackHole
	// DropReplies forwards what the client says and drops the answers: the server does the work, the client never learns.
	DropReplies
	// Refuse closes new connections at once. Open ones go on; Cut ends those.
	Refuse
)

// Proxy forwards connections made to Addr. Its methods may be called at any time from any goroutine.
type Proxy struct {
	target   string
	listener net.Listener
	wg       sync.WaitGroup

	mode      atomic.Int64
	delay     atomic.Int64 // of each chunk, in either direction
	accepted  atomic.Int64
	sent      atomic.Int64 // bytes that went to the server
	cutAfter  atomic.Int64 // bytes to the server until everything is cut; < 0: never
	cutReply  atomic.Bool  // cut at the first byte of an answer
	mu        sync.Mutex
	closed    bool
	pairs     map[*pair]struct{}
	onRequest atomic.Pointer[func(n int)]
}

type pair struct {
	client, server net.Conn
	torn           atomic.Bool // bytes of it were dropped: what follows would not fit
}

func (p *pair) close() {
	abort(p.client)
	if p.server != nil {
		abort(p.server)
	}
}

// abort closes with a reset, as a crashed peer or a firewall does.
func abort(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

// New starts a proxy to target (host:port) on a free port of 127.0.0.1.
func New(target string) (*Proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting a proxy to %s: %w", target, err)
	}
	p := &Proxy{target: target, listener: listener, pairs: map[*pair]struct{}{}}
	p.cutAfter.Store(-1)
	p.wg.Go(p.accept)
	return p, nil
}

// TB is what Run needs of a test.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
}

// Run is New for a test, whose end closes the proxy.
func Run(t TB, target string) *Proxy {
	t.Helper()
	p, err := New(target)
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(p.Close)
	return p
}

// Addr is host:port where the proxy listens.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Set changes the mode, for open connections too.
func (p *Proxy) Set(m Mode) { p.mode.Store(int64(m)) }

// Delay holds back every chunk of either direction for d.
func (p *Proxy) Delay(d time.Duration) { p.delay.Store(int64(d)) }

// Accepted counts the connections that clients have made.
func (p *Proxy) Accepted() int { return int(p.accepted.Load()) }

// Sent counts the bytes that were forwarded to the server.
func (p *Proxy) Sent() int64 { return p.sent.Load() }

// Open counts the connections that are open.
func (p *Proxy) Open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.pairs)
}

// Cut resets all open connections. New ones are treated as the mode says.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for pair := range p.pairs {
		pair.close()
	}
}

// CutAfter cuts all connections once, when n more bytes have gone to the server: in the middle of a request.
func (p *Proxy) CutAfter(n int64) { p.cutAfter.Store(n) }

// CutBeforeReply cuts all connections once, when the server next answers: the request has arrived, and was perhaps
// carried out, and the client gets an error instead of the answer.
func (p *Proxy) CutBeforeReply() { p.cutReply.Store(true) }

// OnRequest has f called before each chunk of n bytes is forwarded to the server; nil ends it. f may call Set or Cut.
func (p *Proxy) OnRequest(f func(n int)) {
	if f == nil {
		p.onRequest.Store(nil)
		return
	}
	p.onRequest.Store(&f)
}

// Close cuts all connections and stops listening.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	_ = p.listener.Close()
	p.Cut()
	p.wg.Wait()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		p.accepted.Add(1)
		if p.is(Refuse) {
			abort(client)
			continue
		}
		p.wg.Go(func() { p.serve(client) })
	}
}

func (p *Proxy) is(m Mode) bool { return Mode(p.mode.Load()) == m }

func (p *Proxy) serve(client net.Conn) {
	pair := &pair{client: client}
	if !p.add(pair) {
		return
	}
	defer p.remove(pair)
	server, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(context.Background(), "tcp", p.target)
	if err != nil {
		return
	}
	p.mu.Lock()
	pair.server = server
	cut := p.closed
	p.mu.Unlock()
	if cut {
		return
	}
	var wg sync.WaitGroup
	wg.Go(func() { p.forward(pair, true) })
	p.forward(pair, false)
	wg.Wait()
}

func (p *Proxy) add(pair *pair) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		pair.close()
		return false
	}
	p.pairs[pair] = struct{}{}
	return true
}

func (p *Proxy) remove(pair *pair) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pair.close()
	delete(p.pairs, pair)
}

// forward copies one direction until an end closes or is cut. A half-closed connection is not kept: no protocol here
// uses one.
func (p *Proxy) forward(pair *pair, request bool) {
	from, to := pair.server, pair.client
	if request {
		from, to = to, from
	}
	defer to.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && !p.deliver(pair, to, buf[:n], request) {
			return
		}
		if err != nil {
			return
		}
	}
}

// deliver passes a chunk on, or does to it what the mode says; false ends the direction. A connection that lost bytes is not taken up
// again, because no network does that: its peers would read one message's end as another's beginning.
func (p *Proxy) deliver(pair *pair, to net.Conn, chunk []byte, request bool) bool {
	if d := time.Duration(p.delay.Load()); d > 0 {
		time.Sleep(d)
	}
	if request {
		if f := p.onRequest.Load(); f != nil {
			(*f)(len(chunk))
		}
	}
	if p.is(BlackHole) || p.is(DropReplies) && !request {
		pair.torn.Store(true)
		return true
	}
	if pair.torn.Load() && !p.is(DropReplies) {
		p.mu.Lock()
		defer p.mu.Unlock()
		pair.close()
		return false
	}
	if !request {
		if p.cutReply.CompareAndSwap(true, false) {
			p.Cut()
			return false
		}
		_, err := to.Write(chunk)
		return err == nil
	}
	part, cut := p.beforeCut(chunk)
	n, err := to.Write(part)
	p.sent.Add(int64(n))
	if cut {
		p.Cut()
		return false
	}
	return err == nil
}

// beforeCut is the part of a request's chunk that may still go to the server, and whether the cut is due after it.
func (p *Proxy) beforeCut(chunk []byte) ([]byte, bool) {
	for {
		left := p.cutAfter.Load()
		switch {
		case left < 0:
			return chunk, false
		case int64(len(chunk)) < left:
			if p.cutAfter.CompareAndSwap(left, left-int64(len(chunk))) {
				return chunk, false
			}
		default:
			if p.cutAfter.CompareAndSwap(left, -1) {
				return chunk[:left], true
			}
		}
	}
}

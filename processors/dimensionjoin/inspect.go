package dimensionjoin

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/benthos-clickhouse/connect/processors/dimensionjoin/lookup"
)

// inspector answers `connect dimension inspect`: GET /inspect?dimension=NAME&key=COLUMN%3DVALUE…
type inspector struct{ server *http.Server }

// inspectPath is where an inspector answers.
const inspectPath = "/inspect"

func serveInspect(address string, joiner *lookup.Joiner, log *slog.Logger) (*inspector, error) {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", djFieldInspectAddress, err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+inspectPath, func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
		defer cancel()
		key := map[string]string{}
		for _, pair := range r.URL.Query()["key"] {
			column, value, _ := strings.Cut(pair, "=")
			key[column] = value
		}
		answer, err := joiner.Inspect(ctx, r.URL.Query().Get("dimension"), key)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		_ = e.Encode(answer) // whoever asked has gone
	})
	i := &inspector{&http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}}
	go func() { _ = i.server.Serve(listener) }() // ends with close
	log.Info("answering questions about cached rows", "address", listener.Addr().String())
	return i, nil
}

func (i *inspector) close() { _ = i.server.Close() }

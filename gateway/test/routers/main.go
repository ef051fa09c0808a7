package main

import (
	"fmt"
	"net"
	"net/http"
)

func main() {
	mux := http.NewServeMux()
	for pattern, handler := range map[string]string{
		"/reports/{id}": "report", "/reports": "reports", "/healthz": "health", "/": "all",
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("x-handler", handler) })
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Printf("listening on %d.\n", listener.Addr().(*net.TCPAddr).Port)
	panic(http.Serve(listener, mux))
}

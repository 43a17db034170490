// SPDX-License-Identifier: Apache-2.0

// Command load asks a webhook about pods, as API servers do: over connections that stay, HTTP/1.1 with TLS, each with
// its next question when it has the answer. Each line of --bodies is one AdmissionReview. It prints the rate, latencies
// and a digest of which were allowed, by which two webhooks can be compared.
package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"sort"
	"sync"
	"time"
)

type worker struct {
	client    *http.Client
	latencies []time.Duration
	asked     int
}

func (w *worker) ask(url string, body []byte) bool {
	begin := time.Now()
	answer, err := w.client.Post(url, "application/json", bytes.NewReader(body))
	if err != nil {
		panic(err)
	}
	content, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		panic(fmt.Sprint(answer.Status, " ", string(content), " ", err))
	}
	_ = answer.Body.Close()
	w.asked++
	w.latencies = append(w.latencies, time.Since(begin))
	return bytes.Contains(content, []byte(`"allowed":true`))
}

func newWorker() *worker {
	return &worker{client: &http.Client{Transport: &http.Transport{
		// Whose certificate it is, is not what is measured.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		TLSNextProto:    map[string]func(string, *tls.Conn) http.RoundTripper{},
	}}}
}

func verdicts(url string, bodies [][]byte) string {
	digest, w := sha256.New(), newWorker()
	for _, body := range bodies {
		fmt.Fprint(digest, w.ask(url, body))
	}
	return fmt.Sprintf("%x", digest.Sum(nil)[:8])
}

func main() {
	url := flag.String("url", "", "of the webhook")
	file := flag.String("bodies", "", "file of AdmissionReviews, one a line")
	connections := flag.Int("connections", 8, "at once")
	duration := flag.Duration("duration", 5*time.Second, "of the measurement; a fifth of it goes before")
	flag.Parse()
	text, err := os.ReadFile(*file)
	if err != nil {
		panic(err)
	}
	bodies := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	digest := verdicts(*url, bodies)

	workers := make([]*worker, *connections)
	var group sync.WaitGroup
	begin := time.Now().Add(*duration / 5)
	end := begin.Add(*duration)
	for i := range workers {
		workers[i] = newWorker()
		group.Add(1)
		go func(w *worker, next int) {
			defer group.Done()
			warm := false
			for now := time.Now(); now.Before(end); now = time.Now() {
				if !warm && now.After(begin) {
					warm, w.latencies = true, nil
				}
				w.ask(*url, bodies[next%len(bodies)])
				next++
			}
		}(workers[i], i*len(bodies)/len(workers))
	}
	group.Wait()
	var all []time.Duration
	asked := len(bodies)
	for _, w := range workers {
		all = append(all, w.latencies...)
		asked += w.asked
	}
	sort.Slice(all, func(i, j int) bool { return all[i] < all[j] })
	at := func(share float64) int64 { return all[int(share*float64(len(all)-1))].Microseconds() }
	_ = json.NewEncoder(os.Stdout).Encode(map[string]any{
		"requests": len(all), "all": asked, "per_second": float64(len(all)) / duration.Seconds(),
		"p50_us": at(0.5), "p99_us": at(0.99), "verdicts": digest,
	})
}

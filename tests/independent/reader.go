// Reads a log, its head and a proof with Go's own implementation of transparency logs, which knows
// nothing of opslib: golang.org/x/mod/sumdb, with which Go itself checks modules.
//
//	reader LOG-FOLDER VERIFIER-KEY PROOF-FILE OLD-SIZE OLD-ROOT
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func must(err error) {
	if err != nil {
		fmt.Println("refused:", err)
		os.Exit(1)
	}
}

// tiles reads the files of C2SP's tlog-tiles, which have no height in their path.
type tiles struct{ folder string }

func (t tiles) Height() int { return 8 }

func (t tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var found [][]byte
	for _, tile := range wanted {
		content, err := os.ReadFile(filepath.Join(t.folder, strings.Replace(tile.Path(), "tile/8/", "tile/", 1)))
		if err != nil {
			return nil, err
		}
		found = append(found, content)
	}
	return found, nil
}

func (t tiles) SaveTiles([]tlog.Tile, [][]byte) {}

// entry returns a leaf of a bundle: each has its length in front.
func entry(folder string, size, index int64) []byte {
	width := size - index/256*256
	if width > 256 {
		width = 256
	}
	tile := tlog.Tile{H: 8, L: 0, N: index / 256, W: int(width)}
	path := strings.Replace(tile.Path(), "tile/8/0/", "tile/entries/", 1)
	bundle, err := os.ReadFile(filepath.Join(folder, path))
	must(err)
	for at := int64(0); ; at++ {
		length := binary.BigEndian.Uint16(bundle)
		if at == index%256 {
			return bundle[2 : 2+length]
		}
		bundle = bundle[2+length:]
	}
}

func hash(text string) (found tlog.Hash) {
	raw, err := base64.StdEncoding.DecodeString(text)
	must(err)
	if copy(found[:], raw) != tlog.HashSize || len(raw) != tlog.HashSize {
		must(fmt.Errorf("%q is no hash", text))
	}
	return found
}

func head(content []byte, key string) tlog.Tree {
	verifier, err := note.NewVerifier(key)
	must(err)
	opened, err := note.Open(content, note.VerifierList(verifier))
	must(err)
	lines := strings.Split(opened.Text, "\n")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	must(err)
	return tlog.Tree{N: size, Hash: hash(lines[2])}
}

func main() {
	folder, key := os.Args[1], os.Args[2]
	content, err := os.ReadFile(filepath.Join(folder, "checkpoint"))
	must(err)
	tree := head(content, key)
	reader := tlog.TileHashReader(tree, tiles{folder})
	for index := int64(0); index < tree.N; index++ {
		proof, err := tlog.ProveRecord(tree.N, index, reader)
		must(err)
		leaf := tlog.RecordHash(entry(folder, tree.N, index))
		must(tlog.CheckRecord(proof, tree.N, tree.Hash, index, leaf))
	}
	fmt.Println("leaves", tree.N)

	content, err = os.ReadFile(os.Args[3])
	must(err)
	above, below, _ := bytes.Cut(content, []byte("\n\n"))
	lines := strings.Split(string(above), "\n")
	leaf, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
	must(err)
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[2], "index "), 10, 64)
	must(err)
	var path tlog.RecordProof
	for _, line := range lines[3:] {
		path = append(path, hash(line))
	}
	proved := head(below, key)
	must(tlog.CheckRecord(path, proved.N, proved.Hash, index, tlog.RecordHash(leaf)))
	fmt.Println("proof of leaf", index, "in", proved.N)

	old, err := strconv.ParseInt(os.Args[4], 10, 64)
	must(err)
	consistency, err := tlog.ProveTree(tree.N, old, reader)
	must(err)
	must(tlog.CheckTree(consistency, tree.N, tree.Hash, old, hash(os.Args[5])))
	fmt.Println("continues", old)
}

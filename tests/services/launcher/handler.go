package main

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"slices"
	"syscall"
	"unsafe"

	"github.com/ebitengine/purego"
)

// handlerClass is the type name, as C++ mangles it, of the error handler that clickhouse-local installs
// (src/Common/ErrorHandlers.h). It ends the process when an exception leaves a connection's thread: for a command-line
// tool that is right. A server meets such exceptions whenever a client has a wrong password, speaks another protocol or
// is cut off, and the real one (ServerErrorHandler in the same file) goes on.
const handlerClass = "19KillingErrorHandler\x00"

// keepServing makes the library's error handler go on as the real server's does, by pointing its three methods at a
// function that does nothing. lib is what Dlopen returned for the file at path.
func keepServing(lib uintptr, path string) error {
	image, err := elf.Open(path)
	if err != nil {
		return fmt.Errorf("reading the library: %w", err)
	}
	defer image.Close()
	base, err := loadAddress(lib, image)
	if err != nil {
		return err
	}
	names, err := sectionInMemory(image, base, ".rodata")
	if err != nil {
		return err
	}
	tables, err := sectionInMemory(image, base, ".data.rel.ro")
	if err != nil {
		return err
	}
	methods, err := findMethods(names, tables)
	if err != nil {
		return err
	}
	nothing, err := purego.Dlsym(purego.RTLD_DEFAULT, "sched_yield")
	if err != nil {
		return fmt.Errorf("finding a function that does nothing: %w", err)
	}
	return overwrite(methods, nothing)
}

// findMethods returns the slots of the handler's virtual table that hold its methods. In the Itanium C++ ABI a type's
// description has the address of its name in its second word, and a virtual table is: 0, address of the description, two
// destructors, the methods in order.
func findMethods(names, tables []byte) ([]byte, error) {
	name := bytes.Index(names, []byte(handlerClass))
	if name < 0 {
		return nil, fmt.Errorf("the library has no class %s", handlerClass)
	}
	toName := findWord(tables, address(names, name), 0)
	if toName < 8 {
		return nil, fmt.Errorf("the library has no description of class %s", handlerClass)
	}
	description := address(tables, toName-8)
	for at := findWord(tables, description, 0); at >= 0; at = findWord(tables, description, at+8) {
		methods := at + 3*8
		if at >= 8 && word(tables, at-8) == 0 && methods+3*8 <= len(tables) {
			return tables[methods : methods+3*8], nil
		}
	}
	return nil, fmt.Errorf("the library has no virtual table of class %s", handlerClass)
}

func findWord(b []byte, value uintptr, from int) int {
	for i := from; i+8 <= len(b); i += 8 {
		if word(b, i) == value {
			return i
		}
	}
	return -1
}

func word(b []byte, at int) uintptr { return uintptr(binary.NativeEndian.Uint64(b[at:])) }

func address(b []byte, at int) uintptr { return uintptr(unsafe.Pointer(&b[at])) }

// overwrite stores value in each word of slots, whose memory is read-only after relocation.
func overwrite(slots []byte, value uintptr) error {
	page := uintptr(syscall.Getpagesize())
	start := address(slots, 0) &^ (page - 1)
	end := (address(slots, 0) + uintptr(len(slots)) + page - 1) &^ (page - 1)
	pages := memory(start, int(end-start))
	if err := syscall.Mprotect(pages, syscall.PROT_READ|syscall.PROT_WRITE); err != nil {
		return fmt.Errorf("making the virtual table writable: %w", err)
	}
	for at := 0; at < len(slots); at += 8 {
		binary.NativeEndian.PutUint64(slots[at:], uint64(value))
	}
	if err := syscall.Mprotect(pages, syscall.PROT_READ); err != nil {
		return fmt.Errorf("making the virtual table read-only again: %w", err)
	}
	return nil
}

// loadAddress is what has to be added to the addresses in the file to get those in memory.
func loadAddress(lib uintptr, image *elf.File) (uintptr, error) {
	symbols, err := image.DynamicSymbols()
	if err != nil {
		return 0, fmt.Errorf("reading the library's symbols: %w", err)
	}
	i := slices.IndexFunc(symbols, func(s elf.Symbol) bool { return s.Name == entryPoint })
	if i < 0 {
		return 0, fmt.Errorf("the library has no symbol %s", entryPoint)
	}
	loaded, err := purego.Dlsym(lib, entryPoint)
	if err != nil {
		return 0, fmt.Errorf("finding %s: %w", entryPoint, err)
	}
	return loaded - uintptr(symbols[i].Value), nil
}

func sectionInMemory(image *elf.File, base uintptr, name string) ([]byte, error) {
	section := image.Section(name)
	if section == nil {
		return nil, fmt.Errorf("the library has no section %s", name)
	}
	return memory(base+uintptr(section.Addr), int(section.Size)), nil
}

// memory is the n bytes at an address that the dynamic linker, not Go, has mapped.
func memory(at uintptr, n int) []byte {
	return unsafe.Slice(*(**byte)(unsafe.Pointer(&at)), n)
}

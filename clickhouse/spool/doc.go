// Package spool keeps blocks on disk that could not be inserted: it writes them so that they survive a crash, lists them,
// and hands them back to be inserted under the names they were first sent with.
//
// It owns the file format and the directory. It must never delete a file that it was not told to drop, never hand out a
// block whose checksum does not fit, and never grow past its bound. It knows nothing of connections.
package spool

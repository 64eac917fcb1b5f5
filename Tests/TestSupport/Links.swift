internal import Glibc

/// Makes `path` a symbolic link to `target`; false if that failed.
package func symbolicLink(_ target: String, _ path: String) -> Bool { symlink(target, path) == 0 }

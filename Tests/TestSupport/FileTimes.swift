internal import Basics
internal import Glibc

/// Sets the time of the last change of the file at `path` back by `days`.
package func age(_ path: String, days: Int) throws {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    time.tv_sec -= days * 86400
    let times = [time, time]
    if utimensat(AT_FDCWD, path, times, 0) != 0 { throw MLOpsError.system("set the time of", path, errno: errno) }
}

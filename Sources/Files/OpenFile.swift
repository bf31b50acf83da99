import Glibc
package import NIOCore

/// A regular file, open for reading; closed when the last one lets go of it.
package final class OpenFile: Sendable {
    package let descriptor: CInt
    /// Bytes, when it was opened.
    package let size: Int
    /// Seconds since 1970.
    package let modified: Int
    /// For the entity tag: a second is long enough for two versions of a file.
    package let modifiedNanoseconds: Int

    package enum Outcome {
        case file(OpenFile)
        case folder
        case missing
    }

    /// Opens what stands at `names` below `folder`. No symbolic link below it is followed, and each step starts from
    /// the folder that was opened before, so nothing outside can be reached even while files are being moved.
    package static func open(_ names: some Collection<Substring>, in folder: String) -> Outcome {
        var folder = Glibc.open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { return .missing }
        defer { close(folder) }
        for name in names.dropLast() {
            let next = openat(folder, String(name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
            guard next >= 0 else { return .missing }
            close(folder)
            folder = next
        }
        guard let name = names.reversed().first else { return .folder }
        // A named pipe would block the open without O_NONBLOCK; reading a regular file is not changed by it.
        let descriptor = openat(folder, String(name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0 else { return .missing }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            close(descriptor)
            return .missing
        }
        switch status.st_mode & S_IFMT {
        case S_IFREG: return .file(OpenFile(descriptor, status))
        case S_IFDIR:
            close(descriptor)
            return .folder
        default:
            close(descriptor)
            return .missing
        }
    }

    private init(_ descriptor: CInt, _ status: stat) {
        self.descriptor = descriptor
        self.size = Int(status.st_size)
        self.modified = Int(status.st_mtim.tv_sec)
        self.modifiedNanoseconds = Int(status.st_mtim.tv_nsec)
    }

    deinit { close(self.descriptor) }

    /// Up to `count` bytes from `offset`; fewer only at the end of the file.
    package func read(from offset: Int, count: Int) -> ByteBuffer {
        var buffer = ByteBufferAllocator().buffer(capacity: count)
        while buffer.readableBytes < count {
            let (at, wanted) = (offset + buffer.readableBytes, count - buffer.readableBytes)
            let got = buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: wanted) { space in
                max(0, pread(self.descriptor, space.baseAddress, wanted, at))
            }
            if got == 0 { break }
        }
        return buffer
    }
}

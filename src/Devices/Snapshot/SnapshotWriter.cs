using System.Buffers.Binary;
using Dbt.Runtime.Memory;
using Dbt.Xen;
using Dbt.Xen.Snapshot;

namespace Dbt.Devices.Snapshot;

/// <summary>How far saving or restoring is.</summary>
/// <param name="Pages">Pages that are done.</param>
/// <param name="AllPages">Pages in all.</param>
/// <param name="Bytes">Bytes of the file so far.</param>
public readonly record struct SnapshotProgress(long Pages, long AllPages, long Bytes);

/// <summary>Writes a domain and its devices as a file's bytes. The domain is paused or has stopped, its devices are held.</summary>
public static class SnapshotWriter
{
    // Chunks made at a time, for each of the host's processors.
    private const int ChunksAhead = 4;

    /// <summary>Writes everything.</summary>
    /// <param name="stream">Where to; it is not flushed.</param>
    /// <param name="domain">The domain.</param>
    /// <param name="devices">Its devices.</param>
    /// <param name="kind">At what moment the domain is.</param>
    /// <param name="configuration">What it was made from: the command's own bytes.</param>
    /// <param name="progress">Told now and then; null for nobody.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="SnapshotException">The guest has what can't be saved.</exception>
    /// <exception cref="IOException">The stream can't be written.</exception>
    /// <exception cref="OperationCanceledException">It was ended.</exception>
    public static void Write(
        Stream stream, Domain domain, DeviceHost devices, ImageKind kind, ReadOnlySpan<byte> configuration, Action<SnapshotProgress>? progress,
        CancellationToken cancellation)
    {
        if (kind == ImageKind.Suspended)
        {
            DomainState.CheckSuspended(domain);
        }

        using var digest = new DigestStream(stream);
        Span<byte> preamble = stackalloc byte[SnapshotFormat.PreambleBytes];
        preamble.Clear();
        SnapshotFormat.Magic.CopyTo(preamble);
        BinaryPrimitives.WriteUInt32LittleEndian(preamble[8..], SnapshotFormat.Version);
        digest.Write(preamble);
        var writer = new StateWriter(digest);
        writer.Section(SectionType.Header, DomainHeader.Of(domain, kind).Write);
        writer.Section(SectionType.Configuration, 0, configuration);
        DomainState.Capture(domain, writer);
        devices.Capture(writer);
        WriteMemory(writer, domain, progress, cancellation);
        writer.End();
        stream.Write(digest.Digest());
    }

    private static void WriteMemory(StateWriter writer, Domain domain, Action<SnapshotProgress>? progress, CancellationToken cancellation)
    {
        IReadOnlyList<GuestPage> pages = DomainState.Pages(domain);
        UntouchedFrames untouched = domain.Hypervisor.Machine.FindUntouched();
        GuestPage[] touched = [.. pages.Where(page => !untouched.Contains(page.Mfn))];
        uint instance = 0;
        long done = pages.Count - touched.Length;
        foreach (GuestPage[][] chunks in MemoryChunk.Split(domain, touched).Chunk(ChunksAhead * Environment.ProcessorCount))
        {
            cancellation.ThrowIfCancellationRequested();
            var packed = new SectionWriter[chunks.Length];
            Parallel.For(0, chunks.Length, i => packed[i] = MemoryChunk.Pack(domain, chunks[i]));
            for (int i = 0; i < packed.Length; i++)
            {
                writer.Section(SectionType.Memory, instance++, packed[i].Written);
                done += chunks[i].Length;
            }

            progress?.Invoke(new SnapshotProgress(done, pages.Count, writer.Length));
        }

        progress?.Invoke(new SnapshotProgress(pages.Count, pages.Count, writer.Length));
    }
}

using System.Buffers.Binary;
using System.Globalization;
using Dbt.Xen.Snapshot;

namespace Dbt.Devices.Snapshot;

/// <summary>
/// Reads a saved guest: first what it is, then, into a domain that was made for that, its memory, then its state. Memory that is taken is bounded by what
/// the header says the guest may have.
/// </summary>
public sealed class SnapshotReader : IDisposable
{
    private const int ChunksAhead = 4;

    private readonly Stream _stream;
    private readonly DigestStream _digest;
    private readonly SectionStream _sections;

    /// <summary>Begins with a file's first bytes.</summary>
    /// <param name="stream">The file; not disposed.</param>
    /// <exception cref="SnapshotException">It is no saved guest, or one of a version that this one can't read.</exception>
    public SnapshotReader(Stream stream)
    {
        _stream = stream;
        _digest = new DigestStream(stream);
        CheckPreamble();
        _sections = new SectionStream(_digest);
        SectionReader header = _sections.Next(), configuration = _sections.Next();
        if (header.Type != SectionType.Header || configuration.Type != SectionType.Configuration)
        {
            throw new SnapshotException("the saved guest doesn't begin with what it is: it is damaged");
        }

        Header = DomainHeader.Read(header);
        Configuration = configuration.Bytes(configuration.Left).ToArray();
    }

    /// <summary>What the domain is.</summary>
    public DomainHeader Header { get; }

    /// <summary>What it was made from.</summary>
    public byte[] Configuration { get; }

    /// <summary>Reads all the rest, to the digest at the end.</summary>
    /// <param name="memory">Gets the memory.</param>
    /// <param name="progress">Told now and then; null for nobody.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <returns>The state, for <see cref="DomainRestorer.Finish"/>.</returns>
    /// <exception cref="SnapshotException">It is damaged.</exception>
    /// <exception cref="IOException">The stream can't be read.</exception>
    /// <exception cref="OperationCanceledException">It was ended.</exception>
    public StateReader Read(IPageSink memory, Action<SnapshotProgress>? progress, CancellationToken cancellation)
    {
        var state = new StateReader();
        var chunks = new List<SectionReader>();
        long pages = 0;
        while (true)
        {
            SectionReader section = _sections.Next();
            if (section.Type == SectionType.Memory)
            {
                chunks.Add(section);
            }
            else if (section.Type != SectionType.End)
            {
                state.Add(section);
            }

            if (chunks.Count == ChunksAhead * Environment.ProcessorCount || (section.Type == SectionType.End && chunks.Count != 0))
            {
                cancellation.ThrowIfCancellationRequested();
                Unpack(chunks, memory);
                pages = memory.PageCount;
                progress?.Invoke(new SnapshotProgress(pages, Header.Pages, _digest.Count));
                chunks.Clear();
            }

            if (section.Type == SectionType.End)
            {
                CheckDigest();
                return state;
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _digest.Dispose();

    private static void Unpack(List<SectionReader> chunks, IPageSink memory)
    {
        try
        {
            Parallel.ForEach(chunks, chunk => MemoryChunk.Unpack(chunk, memory));
        }
        catch (AggregateException exception) when (exception.InnerExceptions.All(static inner => inner is SnapshotException))
        {
            throw exception.InnerExceptions[0];
        }
    }

    private void CheckPreamble()
    {
        Span<byte> preamble = stackalloc byte[SnapshotFormat.PreambleBytes];
        if (_digest.ReadAtLeast(preamble, preamble.Length, throwOnEndOfStream: false) != preamble.Length
            || !preamble.StartsWith(SnapshotFormat.Magic))
        {
            throw new SnapshotException("it is no guest that dbt save saved");
        }

        uint version = BinaryPrimitives.ReadUInt32LittleEndian(preamble[8..]);
        if (version is < SnapshotFormat.OldestVersion or > SnapshotFormat.Version)
        {
            throw new SnapshotException(string.Create(CultureInfo.InvariantCulture,
                $"it has version {version} of the format, and this dbt reads {SnapshotFormat.OldestVersion} to {SnapshotFormat.Version}"));
        }
    }

    private void CheckDigest()
    {
        byte[] expected = _digest.Digest();
        Span<byte> digest = stackalloc byte[SnapshotFormat.DigestBytes];
        if (_stream.ReadAtLeast(digest, digest.Length, throwOnEndOfStream: false) != digest.Length || !digest.SequenceEqual(expected))
        {
            throw new SnapshotException("its SHA-256 is wrong: it is damaged");
        }
    }
}

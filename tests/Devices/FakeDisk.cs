using Dbt.Devices.Block;

namespace Dbt.Tests.Devices;

/// <summary>A disk in memory that can fail or take its time, and counts what is asked of it.</summary>
internal sealed unsafe class FakeDisk(int sectors) : IDiskImage
{
    private readonly Lock _lock = new();
    private int _under, _most;

    public byte[] Contents { get; } = Enumerable.Range(0, sectors * 512).Select(static i => (byte)((i / 512) ^ (i * 31))).ToArray();

    public bool Fails { get; set; }

    public int Flushes { get; private set; }

    public bool IsDisposed { get; private set; }

    public ulong Sectors => (ulong)sectors;

    public (int Logical, int Physical) SectorSizes { get; init; } = (512, 512);

    public bool IsReadOnly { get; init; }

    public int DiscardGranularity { get; init; } = 512;

    /// <summary>What the disk did, in order: r, w, f, d and the sector.</summary>
    public List<string> Done { get; } = [];

    /// <summary>Whether reads are answered without a worker.</summary>
    public bool HasAtHand { get; set; }

    /// <summary>While not set, all that waits for storage waits.</summary>
    public ManualResetEventSlim Go { get; } = new(true);

    /// <summary>Requests that wait for storage now.</summary>
    public int Under => Volatile.Read(ref _under);

    /// <summary>The most of them at a time.</summary>
    public int Most => Volatile.Read(ref _most);

    public void Refresh()
    {
    }

    public long ReadAtHand(ulong offset, ReadOnlySpan<IoVector> vectors)
    {
        if (!HasAtHand || Fails)
        {
            return 0;
        }

        return Copy(offset, vectors, toDisk: false);
    }

    public void Read(ulong offset, Span<IoVector> vectors)
    {
        Check($"r{offset / 512}");
        Copy(offset, vectors, toDisk: false);
    }

    public void Write(ulong offset, Span<IoVector> vectors)
    {
        Check($"w{offset / 512}");
        Assert.False(IsReadOnly);
        Copy(offset, vectors, toDisk: true);
    }

    public void Flush()
    {
        Check("f");
        Flushes++;
    }

    public bool Discard(ulong offset, ulong length)
    {
        Check($"d{offset / 512}");
        Contents.AsSpan((int)offset, (int)length).Clear();
        return true;
    }

    public void Dispose() => IsDisposed = true;

    private long Copy(ulong offset, ReadOnlySpan<IoVector> vectors, bool toDisk)
    {
        ulong start = offset;
        foreach (IoVector vector in vectors)
        {
            var memory = new Span<byte>(vector.Start, (int)vector.Length);
            Span<byte> disk = Contents.AsSpan((int)offset, memory.Length);
            if (toDisk)
            {
                memory.CopyTo(disk);
            }
            else
            {
                disk.CopyTo(memory);
            }

            offset += vector.Length;
        }

        return (long)(offset - start);
    }

    private void Check(string what)
    {
        Assert.False(IsDisposed);
        int under = Interlocked.Increment(ref _under);
        lock (_lock)
        {
            _most = Math.Max(_most, under);
        }

        Go.Wait();
        Interlocked.Decrement(ref _under);
        lock (_lock)
        {
            Done.Add(what);
        }

        if (Fails)
        {
            throw new IOException("the host's disk is broken");
        }
    }
}

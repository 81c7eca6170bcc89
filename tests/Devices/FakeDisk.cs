using Dbt.Devices.Block;

namespace Dbt.Tests.Devices;

/// <summary>A disk in memory that can fail, and counts what is asked of it.</summary>
internal sealed class FakeDisk(int sectors) : IDiskImage
{
    public byte[] Contents { get; } = Enumerable.Range(0, sectors * 512).Select(static i => (byte)((i / 512) ^ (i * 31))).ToArray();

    public bool Fails { get; set; }

    public int Flushes { get; private set; }

    public bool IsDisposed { get; private set; }

    public ulong Sectors => (ulong)sectors;

    public bool IsReadOnly { get; init; }

    public bool CanDiscard { get; init; } = true;

    public void Read(ulong offset, Span<byte> destination)
    {
        Check();
        Contents.AsSpan((int)offset, destination.Length).CopyTo(destination);
    }

    public void Write(ulong offset, ReadOnlySpan<byte> source)
    {
        Check();
        Assert.False(IsReadOnly);
        source.CopyTo(Contents.AsSpan((int)offset));
    }

    public void Flush()
    {
        Check();
        Flushes++;
    }

    public bool Discard(ulong offset, ulong length)
    {
        Check();
        Contents.AsSpan((int)offset, (int)length).Clear();
        return CanDiscard;
    }

    public void Dispose() => IsDisposed = true;

    private void Check()
    {
        Assert.False(IsDisposed);
        if (Fails)
        {
            throw new IOException("the host's disk is broken");
        }
    }
}

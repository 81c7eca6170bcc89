using Dbt.Runtime;
using Microsoft.Win32.SafeHandles;

namespace Dbt.Devices.Block;

/// <summary>
/// An image that stays as it is: what is written goes to a file without a name, which is gone when this is. By sectors of 512 bytes, so that nothing
/// has to be read to be written. Others may have the image open in the same way.
/// </summary>
internal sealed class OverlayImage : IDiskImage
{
    private const int Sector = 512, BitsPerWord = 64;

    private readonly RawImage _base;
    private readonly SafeFileHandle _written;
    private readonly Lock _lock = new();

    // A bit for each sector that was written.
    private ulong[] _sectors;

    private OverlayImage(RawImage image, SafeFileHandle written)
    {
        _base = image;
        _written = written;
        _sectors = new ulong[Words(image.Sectors)];
    }

    /// <inheritdoc/>
    public ulong Sectors => _base.Sectors;

    /// <inheritdoc/>
    public (int Logical, int Physical) SectorSizes => _base.SectorSizes;

    /// <inheritdoc/>
    public bool IsReadOnly => false;

    /// <inheritdoc/>
    public int DiscardGranularity => 0;

    /// <summary>Opens an image, which others may read meanwhile, but not write.</summary>
    /// <param name="path">A raw image file, or a block device.</param>
    /// <param name="isSurelyRaw">See <see cref="RawImage.Open"/>.</param>
    /// <exception cref="HostException">It can't be used, or there is no place for what is written.</exception>
    public static OverlayImage Open(string path, bool isSurelyRaw)
    {
        RawImage image = RawImage.Open(path, readOnly: true, isSurelyRaw);
        try
        {
            // Named for a moment only, so that nothing is left of a process that is killed.
            string name = Path.Combine(Path.GetTempPath(), $"dbt-overlay-{Guid.NewGuid():N}");
            SafeFileHandle written = File.OpenHandle(name, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.Delete);
            File.Delete(name);
            return new OverlayImage(image, written);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            image.Dispose();
            throw new HostException($"there is no place for what is written to disk image '{path}': {error.Message}", error);
        }
    }

    /// <inheritdoc/>
    public void Refresh() => _base.Refresh();

    /// <inheritdoc/>
    public long ReadAtHand(ulong offset, ReadOnlySpan<IoVector> vectors) => 0;

    /// <inheritdoc/>
    public void Read(ulong offset, Span<IoVector> vectors)
    {
        Span<IoVector> part = new IoVector[vectors.Length];
        ulong left = IoVector.Bytes(vectors);
        while (left != 0)
        {
            ulong bytes = Alike(offset, left, out bool written);
            Span<IoVector> pieces = IoVector.Take(ref vectors, bytes, part);
            if (written)
            {
                FileCalls.TransferAll(FileCalls.Operation.Read, _written, pieces, offset);
            }
            else
            {
                _base.Read(offset, pieces);
            }

            offset += bytes;
            left -= bytes;
        }
    }

    /// <inheritdoc/>
    public void Write(ulong offset, Span<IoVector> vectors)
    {
        ulong bytes = IoVector.Bytes(vectors);
        FileCalls.TransferAll(FileCalls.Operation.Write, _written, vectors, offset);
        lock (_lock)
        {
            ulong end = (offset + bytes) / Sector;
            if (Words(end) > _sectors.Length)
            {
                Array.Resize(ref _sectors, Words(end));
            }

            for (ulong sector = offset / Sector; sector < end; sector++)
            {
                _sectors[sector / BitsPerWord] |= 1UL << (int)(sector % BitsPerWord);
            }
        }
    }

    /// <inheritdoc/>
    /// <remarks>It is kept nowhere, so there is nothing to bring anywhere.</remarks>
    public void Flush()
    {
    }

    /// <inheritdoc/>
    public bool Discard(ulong offset, ulong length) => false;

    /// <inheritdoc/>
    public void Dispose()
    {
        _base.Dispose();
        _written.Dispose();
    }

    private static int Words(ulong sectors) => (int)((sectors + BitsPerWord - 1) / BitsPerWord);

    /// <summary>How far what begins at an offset lies in the same file, and in which.</summary>
    private ulong Alike(ulong offset, ulong most, out bool written)
    {
        lock (_lock)
        {
            ulong sector = offset / Sector, end = sector + (most / Sector);
            written = IsWritten(sector);
            ulong next = sector + 1;
            while (next < end && IsWritten(next) == written)
            {
                next++;
            }

            return (next - sector) * Sector;
        }
    }

    private bool IsWritten(ulong sector) =>
        sector / BitsPerWord < (ulong)_sectors.Length && (_sectors[sector / BitsPerWord] & (1UL << (int)(sector % BitsPerWord))) != 0;
}

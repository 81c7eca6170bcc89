using Dbt.Xen.Snapshot;

namespace Dbt.Devices.Block;

/// <summary>What is saved of a disk's back end beside its nodes.</summary>
/// <param name="State">What it has told of its state.</param>
/// <param name="IsConnected">Whether the frontend's rings are served.</param>
/// <param name="IsFailed">Whether it gave this frontend up.</param>
/// <param name="IsDetaching">Whether the guest was asked to let go of it.</param>
internal sealed record SavedBlockState(XenbusState State, bool IsConnected, bool IsFailed, bool IsDetaching);

/// <content>
/// Going on elsewhere. Once nothing is under way the state of a connection is in the frontend's nodes and in the ring itself: the back end lets go of
/// all of the guest's pages, and comes back where the responses end (BACK_RING_ATTACH). A request that was taken and not begun is still on the ring.
/// </content>
internal sealed partial class BlockBackend
{
    // Guarded by the gate.
    private readonly ManualResetEventSlim _drained = new();
    private bool _held, _comesBack;

    /// <summary>
    /// Takes no more requests, waits for those that are under way, and lets go of the guest's pages and ports until <see cref="Release"/>. The guest is
    /// paused.
    /// </summary>
    public void Hold()
    {
        BlockSession? session;
        lock (_gate)
        {
            if (_held || _disposed)
            {
                return;
            }

            _held = true;
            session = _session;
            _session = null;
            _comesBack = session is not null;
            _drained.Reset();
        }

        while (session is not null && !session.TryStop())
        {
            _drained.Wait();
            lock (_gate)
            {
                _drained.Reset();
            }
        }

        session?.Dispose();
    }

    /// <summary>Goes on where it was held.</summary>
    public void Release()
    {
        lock (_gate)
        {
            if (!_held || _disposed)
            {
                return;
            }

            _held = false;
            if (_comesBack)
            {
                _comesBack = false;
                Connect();
            }
        }

        Step();
    }

    /// <summary>Makes what was written so far durable, where the host can. While it is held.</summary>
    public void Flush() => _disk.Image.Flush();

    /// <summary>Writes the disk as configured, and the back end's state. While it is held.</summary>
    public void Capture(SectionWriter writer)
    {
        lock (_gate)
        {
            DiskConfiguration disk = Configuration;
            writer.Text(disk.Device.Name);
            writer.Text(Path.GetFullPath(disk.Path));
            writer.Flag(disk.ReadOnly);
            writer.Flag(disk.Type == DiskType.Cdrom);
            writer.UInt32((uint)_disk.SectorSize);
            writer.UInt64(_disk.Sectors);
            writer.Flag(disk.Discard);
            writer.Flag(disk.IsSurelyRaw);
            writer.Flag(disk.PersistentGrants);
            writer.Byte((byte)_state);
            writer.Flag(_comesBack);
            writer.Flag(_failed);
            writer.Flag(_detaching);
        }
    }

    /// <summary>Reads what <see cref="Capture"/> wrote.</summary>
    public static (DiskConfiguration Disk, ulong Sectors, SavedBlockState State) Read(SectionReader reader)
    {
        const int mostName = 64, mostPath = 1 << 16;
        string name = reader.Text(mostName);
        if (!VirtualDevice.TryParse(name, out VirtualDevice device) || device.Number != reader.Instance)
        {
            throw reader.Error("it isn't of the disk that it says");
        }

        string path = reader.Text(mostPath);
        bool readOnly = reader.Flag(), cdrom = reader.Flag();
        int sectorSize = (int)reader.UInt32(512, 1 << 16, "the sector size");
        ulong sectors = reader.UInt64();
        if (!System.Numerics.BitOperations.IsPow2(sectorSize) || path.Length == 0 || path.Contains('\0', StringComparison.Ordinal))
        {
            throw reader.Error("its image can't be one");
        }

        var disk = new DiskConfiguration(path, device, readOnly, cdrom ? DiskType.Cdrom : DiskType.Disk)
        {
            SectorSize = sectorSize,
            Discard = reader.Flag(),
            IsSurelyRaw = reader.Flag(),
            PersistentGrants = reader.Flag(),
        };
        var state = (XenbusState)reader.Byte();
        var saved = new SavedBlockState(state, reader.Flag(), reader.Flag(), reader.Flag());
        reader.End();
        return state <= XenbusState.Closed ? (disk, sectors, saved) : throw reader.Error("its state is none");
    }

    private void Restore(SavedBlockState saved)
    {
        _held = true;
        _state = saved.State;
        _comesBack = saved.IsConnected;
        _failed = saved.IsFailed;
        _detaching = saved.IsDetaching;
    }

    // On any thread, without locks: the last request of a queue that is to stop is done.
    private void Drained()
    {
        lock (_gate)
        {
            _drained.Set();
        }

        Step();
    }
}

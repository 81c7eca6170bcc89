using System.Runtime.InteropServices;

namespace Dbt.Devices.Block;

/// <summary>
/// A request on its way: its segments, the guest's pages in use for it, and how far it has got. Used again and again, so that a request costs no
/// memory. One thread has it at a time. A request that isn't right, or that the host fails, gets an error; what a guest sends never throws.
/// </summary>
internal sealed unsafe class BlockJob : IDisposable
{
    /// <summary>Segments that an indirect request may have.</summary>
    public const int MaxSegments = 256;

    private const int PageSize = 4096, PerPage = PageSize / BlockSegment.Size;
    private readonly BlockDisk _disk;
    private readonly GrantCache _grants;
    private readonly BlockSegment[] _segments = new BlockSegment[MaxSegments];
    private readonly GrantCache.Use[] _pages = new GrantCache.Use[MaxSegments];
    private readonly IoVector* _vectors = (IoVector*)NativeMemory.Alloc(MaxSegments, (nuint)sizeof(IoVector));
    private BlockRequest _request;
    private int _pageCount;
    private int _firstVector, _vectorCount;
    private ulong _offset;

    /// <summary>Makes a job for a queue's requests.</summary>
    public BlockJob(BlockQueue queue, BlockDisk disk, GrantCache grants)
    {
        Queue = queue;
        _disk = disk;
        _grants = grants;
    }

    /// <summary>Whose request it is.</summary>
    public BlockQueue Queue { get; }

    /// <summary>The request as copied from the ring.</summary>
    public ref readonly BlockRequest Request => ref _request;

    /// <summary>What the response will say.</summary>
    public BlockStatus Status { get; private set; }

    /// <summary>Whether the request changes the disk.</summary>
    public bool Changes => _request.Operation is BlockOperation.Write or BlockOperation.Discard || (IsOrdered && _request.SegmentCount > 0);

    /// <summary>Whether all changes before this request have to be done before it is (flushes and barriers).</summary>
    public bool IsOrdered => !_request.IsIndirect && _request.Operation is BlockOperation.Flush or BlockOperation.WriteBarrier;

    /// <summary>Whether requests behind this one have to wait until it is done.</summary>
    public bool IsBarrier => !_request.IsIndirect && _request.Operation == BlockOperation.WriteBarrier;

    /// <summary>Takes a request.</summary>
    public void Start(in BlockRequest request)
    {
        _request = request;
        _pageCount = _firstVector = _vectorCount = 0;
        Status = BlockStatus.Okay;
    }

    /// <summary>Checks the request and takes its pages into use.</summary>
    /// <returns>False where nothing is left to do but to respond.</returns>
    public bool TryPrepare()
    {
        switch (_request.Operation)
        {
            case BlockOperation.Read or BlockOperation.Write:
            case BlockOperation.WriteBarrier or BlockOperation.Flush when !_request.IsIndirect && _request.SegmentCount > 0:
                return TryPrepareTransfer() || Fails(BlockStatus.Error);
            case BlockOperation.WriteBarrier or BlockOperation.Flush when !_request.IsIndirect:
                return true;
            case BlockOperation.Discard when !_request.IsIndirect:
                return _disk.DiscardGranularity == 0 ? Fails(BlockStatus.NotSupported) : TryPrepareDiscard();
            default:
                return Fails(BlockStatus.NotSupported);
        }
    }

    /// <summary>Does what can be done without waiting for the host.</summary>
    /// <returns>Whether that was all.</returns>
    public bool TryAtOnce()
    {
        if (_request.Operation != BlockOperation.Read)
        {
            return false;
        }

        var left = new Span<IoVector>(_vectors, _vectorCount);
        long count = _disk.Image.ReadAtHand(_offset, left);
        IoVector.Advance(ref left, count);
        _firstVector = _vectorCount - left.Length;
        _offset += (ulong)count;
        return left.IsEmpty;
    }

    /// <summary>Does the rest, however long that takes.</summary>
    public void Run()
    {
        try
        {
            Carry();
        }
        catch (IOException error)
        {
            _disk.Frontend.Log.AddOnce($"{_disk.Name}: the host failed a request: {error.Message}");
            Status = BlockStatus.Error;
        }
    }

    /// <summary>Lets go of the guest's pages.</summary>
    public void Finish()
    {
        bool fromDisk = _request.Operation == BlockOperation.Read;
        long sectors = 0;
        for (int i = 0; i < _pageCount; i++)
        {
            if (fromDisk)
            {
                // Told even where the host failed half-way: some bytes may have changed.
                _disk.Frontend.MarkWritten(_pages[i].Page.Host + (_segments[i].First * BlockDisk.Unit), _segments[i].Sectors * BlockDisk.Unit);
            }

            sectors += _segments[i].Sectors;
            _grants.Release(_pages[i]);
        }

        _pageCount = 0;
        if (Status == BlockStatus.Okay)
        {
            _disk.Counters.Count(_request.Operation, sectors);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => NativeMemory.Free(_vectors);

    private bool Fails(BlockStatus status)
    {
        Status = status;
        return false;
    }

    private void Carry()
    {
        IDiskImage image = _disk.Image;
        var left = new Span<IoVector>(_vectors + _firstVector, _vectorCount - _firstVector);
        switch (_request.Operation)
        {
            case BlockOperation.Read:
                image.Read(_offset, left);
                break;
            case BlockOperation.Write:
                image.Write(_offset, left);
                break;
            case BlockOperation.Discard:
                if (!image.Discard(_offset, _request.DiscardSectors * BlockDisk.Unit))
                {
                    Status = BlockStatus.NotSupported;
                }

                break;
            default:
                // What comes with a flush or a barrier is on stable storage too before the guest hears of it.
                image.Flush();
                if (!left.IsEmpty)
                {
                    image.Write(_offset, left);
                    image.Flush();
                }

                break;
        }
    }

    private bool TryPrepareDiscard()
    {
        if (!_disk.Allows(_request.Sector, _request.DiscardSectors))
        {
            return Fails(BlockStatus.Error);
        }

        _offset = _request.Sector * BlockDisk.Unit;
        return _request.DiscardSectors > 0;
    }

    private bool TryPrepareTransfer()
    {
        bool toDisk = _request.Operation != BlockOperation.Read;
        if (toDisk && _disk.Image.IsReadOnly)
        {
            return false;
        }

        if (!TryFetchSegments(out ulong sectors) || !_disk.Allows(_request.Sector, sectors))
        {
            _disk.Frontend.Log.AddOnce($"{_disk.Name}: the guest asked for sectors that the disk doesn't have, or in a way that makes no sense");
            return false;
        }

        for (; _pageCount < _request.SegmentCount; _pageCount++)
        {
            if (!_grants.TryUse(_segments[_pageCount].Reference, !toDisk, out _pages[_pageCount]))
            {
                _disk.Frontend.Log.AddOnce($"{_disk.Name}: the guest named a page that it didn't grant");
                LetGo();
                return false;
            }
        }

        _offset = _request.Sector * BlockDisk.Unit;
        for (int i = 0; i < _pageCount; i++)
        {
            AddVector(_pages[i].Page.Host + (_segments[i].First * BlockDisk.Unit), (nuint)(_segments[i].Sectors * BlockDisk.Unit));
        }

        return true;
    }

    // Nothing was read into them yet.
    private void LetGo()
    {
        for (int i = 0; i < _pageCount; i++)
        {
            _grants.Release(_pages[i]);
        }

        _pageCount = 0;
    }

    private void AddVector(byte* start, nuint length)
    {
        if (_vectorCount > 0 && _vectors[_vectorCount - 1].Start + _vectors[_vectorCount - 1].Length == start)
        {
            _vectors[_vectorCount - 1].Length += length;
            return;
        }

        _vectors[_vectorCount++] = new IoVector { Start = start, Length = length };
    }

    // Copies the segments out of the request, or out of the pages it names, and checks them.
    private bool TryFetchSegments(out ulong sectors)
    {
        sectors = 0;
        int count = _request.SegmentCount;
        if (count == 0 || count > (_request.IsIndirect ? MaxSegments : BlockRequest.MaxSegments))
        {
            return false;
        }

        if (!_request.IsIndirect)
        {
            _request.DirectSegments[..count].CopyTo(_segments);
        }
        else if (!TryFetchIndirect())
        {
            return false;
        }

        int sectorMask = (_disk.SectorSize / BlockDisk.Unit) - 1;
        for (int i = 0; i < count; i++)
        {
            if (!_segments[i].IsValid || ((_segments[i].First | _segments[i].Sectors) & sectorMask) != 0)
            {
                return false;
            }

            sectors += (ulong)_segments[i].Sectors;
        }

        return true;
    }

    private bool TryFetchIndirect()
    {
        for (int start = 0; start < _request.SegmentCount; start += PerPage)
        {
            if (!_grants.TryUse(_request.IndirectPages[start / PerPage], false, out GrantCache.Use page))
            {
                return false;
            }

            int end = Math.Min(_request.SegmentCount, start + PerPage);
            for (int i = start; i < end; i++)
            {
                // Each fetched once, then checked.
                ulong raw = Volatile.Read(ref *(ulong*)(page.Page.Host + ((i - start) * BlockSegment.Size)));
                _segments[i] = new BlockSegment((uint)raw, (byte)(raw >> 32), (byte)(raw >> 40));
            }

            _grants.Release(page);
        }

        return true;
    }
}

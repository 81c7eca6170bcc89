namespace Dbt.Devices.Block;

/// <summary>
/// Carries out requests against an image. A request that isn't right, or that the host fails, gets an error response; what a guest sends
/// never throws. Each granted page is mapped for the time of one request and given up exactly once.
/// </summary>
internal sealed unsafe class BlockProcessor(IFrontend frontend, IDiskImage image, string name)
{
    /// <summary>Segments that an indirect request may have.</summary>
    public const int MaxIndirectSegments = 256;

    private const int SectorSize = 512, PageSize = 4096;
    private readonly BlockSegment[] _segments = new BlockSegment[MaxIndirectSegments];
    private readonly ISharedPage?[] _pages = new ISharedPage?[MaxIndirectSegments];

    /// <summary>Does what a request asks for, before it returns.</summary>
    public BlockStatus Process(in BlockRequest request)
    {
        try
        {
            switch (request.Operation)
            {
                case BlockOperation.Read:
                case BlockOperation.Write:
                    return Transfer(request);
                case BlockOperation.WriteBarrier when !request.IsIndirect:
                    return Barrier(request);
                case BlockOperation.Flush when !request.IsIndirect:
                    image.Flush();
                    return request.SegmentCount == 0 ? BlockStatus.Okay : Transfer(request);
                case BlockOperation.Discard when !request.IsIndirect:
                    return Discard(request);
                default:
                    return BlockStatus.NotSupported;
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            frontend.Log.AddOnce($"{name}: the host failed a request at sector {request.Sector}: {error.Message}");
            return BlockStatus.Error;
        }
    }

    private BlockStatus Barrier(in BlockRequest request)
    {
        image.Flush();
        BlockStatus status = request.SegmentCount == 0 ? BlockStatus.Okay : Transfer(request);
        image.Flush();
        return status;
    }

    private BlockStatus Discard(in BlockRequest request)
    {
        if (image.IsReadOnly || !IsInRange(request.Sector, request.DiscardSectors))
        {
            return BlockStatus.Error;
        }

        return request.DiscardSectors == 0 || image.Discard(request.Sector * SectorSize, request.DiscardSectors * SectorSize)
            ? BlockStatus.Okay
            : BlockStatus.NotSupported;
    }

    private bool IsInRange(ulong sector, ulong count) => sector <= image.Sectors && count <= image.Sectors - sector;

    private BlockStatus Transfer(in BlockRequest request)
    {
        bool toDisk = request.Operation != BlockOperation.Read;
        if ((toDisk && image.IsReadOnly) || !TryFetchSegments(request, out ulong sectors) || !IsInRange(request.Sector, sectors))
        {
            return BlockStatus.Error;
        }

        int mapped = 0;
        try
        {
            for (; mapped < request.SegmentCount; mapped++)
            {
                if (!frontend.TryMapGrant(_segments[mapped].Reference, !toDisk, out _pages[mapped]))
                {
                    frontend.Log.AddOnce($"{name}: the guest named a page that it didn't grant (reference {_segments[mapped].Reference})");
                    return BlockStatus.Error;
                }
            }

            ulong offset = request.Sector * SectorSize;
            for (int i = 0; i < mapped; i++)
            {
                int start = _segments[i].First * SectorSize;
                int length = _segments[i].Sectors * SectorSize;
                var bytes = new Span<byte>(_pages[i]!.Host + start, length);
                if (toDisk)
                {
                    image.Write(offset, bytes);
                }
                else
                {
                    // Told even where the host fails half-way: some bytes may have changed.
                    try
                    {
                        image.Read(offset, bytes);
                    }
                    finally
                    {
                        _pages[i]!.MarkWritten(start, length);
                    }
                }

                offset += (ulong)length;
            }

            return BlockStatus.Okay;
        }
        finally
        {
            for (int i = 0; i < mapped; i++)
            {
                _pages[i]!.Dispose();
                _pages[i] = null;
            }
        }
    }

    // Copies the segments out of the request, or out of the pages it names, and checks them.
    private bool TryFetchSegments(in BlockRequest request, out ulong sectors)
    {
        sectors = 0;
        int count = request.SegmentCount;
        if (count == 0 || count > (request.IsIndirect ? MaxIndirectSegments : BlockRequest.MaxSegments))
        {
            return false;
        }

        if (!request.IsIndirect)
        {
            request.DirectSegments[..count].CopyTo(_segments);
        }
        else if (!TryFetchIndirect(request))
        {
            return false;
        }

        for (int i = 0; i < count; i++)
        {
            if (!_segments[i].IsValid)
            {
                return false;
            }

            sectors += (ulong)_segments[i].Sectors;
        }

        return true;
    }

    private bool TryFetchIndirect(in BlockRequest request)
    {
        const int perPage = PageSize / BlockSegment.Size;
        for (int start = 0; start < request.SegmentCount; start += perPage)
        {
            if (!frontend.TryMapGrant(request.IndirectPages[start / perPage], false, out ISharedPage? page))
            {
                return false;
            }

            using (page)
            {
                int end = Math.Min(request.SegmentCount, start + perPage);
                for (int i = start; i < end; i++)
                {
                    ulong raw = Volatile.Read(ref *(ulong*)(page.Host + ((i - start) * BlockSegment.Size)));
                    _segments[i] = new BlockSegment((uint)raw, (byte)(raw >> 32), (byte)(raw >> 40));
                }
            }
        }

        return true;
    }
}

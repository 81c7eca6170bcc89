using Dbt.Translator;
using Dbt.Translator.Memory;

namespace Dbt.Runtime.Memory;

/// <summary>
/// The machine's memory: frames (MFNs) of 4 KiB in one host reservation, shared by all domains and committed when touched.
/// Frame n lies at <see cref="Base"/> + n * 4096. Frame 0 is never handed out, so that 0 can mean "none".
/// </summary>
public sealed unsafe class MachineMemory : IDisposable
{
    private readonly Lock _lock = new();
    private readonly Stack<uint> _free = new();
    private uint _next = 1;

    /// <summary>Reserves <paramref name="bytes"/> (a multiple of 4096, below 16 TiB).</summary>
    /// <exception cref="OutOfMemoryException">The host refuses the reservation.</exception>
    public MachineMemory(ulong bytes)
    {
        FrameCount = checked((uint)(bytes >> 12));
        Base = HostMemory.Reserve((nuint)bytes);
        CodeMap = new CodeMap(Base, FrameCount);
    }

    /// <summary>Host address of frame 0.</summary>
    public byte* Base { get; private set; }

    /// <summary>Number of frames; valid MFNs are below it.</summary>
    public uint FrameCount { get; }

    /// <summary>Frames that hold translated code.</summary>
    public CodeMap CodeMap { get; }

    /// <summary>Host address of a frame's first byte. The caller has checked that it is below <see cref="FrameCount"/>.</summary>
    public byte* Frame(uint mfn) => Base + ((nuint)mfn << 12);

    /// <summary>The frame that a host address within the reservation lies in.</summary>
    public uint FrameOf(byte* host) => (uint)((ulong)(host - Base) >> 12);

    /// <summary>Takes a zeroed frame.</summary>
    /// <returns>False where the machine is full.</returns>
    public bool TryAllocate(out uint mfn)
    {
        lock (_lock)
        {
            if (_free.TryPop(out mfn))
            {
                return true;
            }

            if (_next < FrameCount)
            {
                mfn = _next++;
                return true;
            }

            mfn = 0;
            return false;
        }
    }

    /// <summary>Takes 2^<paramref name="order"/> contiguous, aligned, zeroed frames that were never used before.</summary>
    public bool TryAllocateContiguous(int order, out uint mfn)
    {
        lock (_lock)
        {
            uint size = 1u << order;
            uint start = (_next + size - 1) & ~(size - 1);
            if (start > FrameCount || FrameCount - start < size)
            {
                mfn = 0;
                return false;
            }

            for (uint skipped = _next; skipped < start; skipped++)
            {
                _free.Push(skipped);
            }

            _next = start + size;
            mfn = start;
            return true;
        }
    }

    /// <summary>Gives a frame back; its contents are wiped, and the host gets its memory back.</summary>
    public void Free(uint mfn)
    {
        CodeMap.Written(Frame(mfn), 4096);
        HostMemory.Discard(Frame(mfn), 4096);
        lock (_lock)
        {
            _free.Push(mfn);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (Base != null)
        {
            HostMemory.Release(Base, (nuint)FrameCount << 12);
            Base = null;
        }
    }
}

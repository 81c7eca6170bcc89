using Dbt.Translator;
using Dbt.Translator.Memory;

namespace Dbt.Runtime.Memory;

/// <summary>
/// The machine's memory: frames (MFNs) of 4 KiB in one file of the host's memory, shared by all domains and committed when touched. A file, because its pages can be
/// mapped a second time, where a guest has them (<see cref="AddressWindow"/>).
/// Frame n lies at <see cref="Base"/> + n * 4096. Frame 0 is never handed out, so that 0 can mean "none".
/// </summary>
public sealed unsafe partial class MachineMemory : IDisposable
{
    /// <summary>Largest order of <see cref="TryAllocateContiguous(int, out uint)"/>.</summary>
    public const int MaxOrder = FrameAllocator.MaxOrder;

    private const int PageSize = 4096;

    private readonly Lock _lock = new();
    private readonly FrameAllocator _allocator;
    private readonly MemoryFile _file;
    private uint _taken = 1;

    /// <summary>Reserves <paramref name="bytes"/> (a multiple of 4096, below 16 TiB).</summary>
    /// <exception cref="OutOfMemoryException">The host refuses the reservation.</exception>
    public MachineMemory(ulong bytes)
    {
        FrameCount = checked((uint)(bytes >> 12));
        _file = new MemoryFile((nuint)bytes);
        Base = _file.Contents;
        CodeMap = new CodeMap(Base, FrameCount);
        _allocator = new FrameAllocator(FrameCount, first: 1);
    }

    /// <summary>Host address of frame 0.</summary>
    public byte* Base { get; private set; }

    /// <summary>Number of frames; valid MFNs are below it.</summary>
    public uint FrameCount { get; }

    /// <summary>Frames that nobody has.</summary>
    public uint FreeFrames
    {
        get
        {
            lock (_lock)
            {
                return FrameCount - _taken;
            }
        }
    }

    /// <summary>Frames from here on were never handed out.</summary>
    public uint HighWater
    {
        get
        {
            lock (_lock)
            {
                return _allocator.HighWater;
            }
        }
    }

    /// <summary>Frames that hold translated code.</summary>
    public CodeMap CodeMap { get; }

    /// <summary>Host address of a frame's first byte. The caller has checked that it is below <see cref="FrameCount"/>.</summary>
    public byte* Frame(uint mfn) => Base + ((nuint)mfn << 12);

    /// <summary>Has the host commit frames that follow one another at once: all of them are about to be written.</summary>
    public void Commit(uint first, uint count) => HostMemory.Commit(Frame(first), (nuint)count << 12);

    /// <summary>The frame that a host address within the reservation lies in.</summary>
    public uint FrameOf(byte* host) => (uint)((ulong)(host - Base) >> 12);

    /// <summary>Takes a zeroed frame.</summary>
    /// <returns>False where the machine is full.</returns>
    public bool TryAllocate(out uint mfn) => TryAllocateContiguous(0, out mfn);

    /// <summary>Takes 2^<paramref name="order"/> contiguous, aligned, zeroed frames.</summary>
    /// <returns>False where the machine has no such block; nothing is taken then.</returns>
    public bool TryAllocateContiguous(int order, out uint mfn) => TryAllocateContiguous(order, FrameCount, out mfn);

    /// <summary>Takes 2^<paramref name="order"/> contiguous, aligned, zeroed frames, all of them below <paramref name="limit"/>.</summary>
    /// <returns>False where the machine has no such block; nothing is taken then.</returns>
    public bool TryAllocateContiguous(int order, uint limit, out uint mfn)
    {
        if ((uint)order > MaxOrder)
        {
            mfn = 0;
            return false;
        }

        lock (_lock)
        {
            bool found = _allocator.TryTake(order, limit, out mfn);
            _taken += found ? 1u << order : 0;
            return found;
        }
    }

    /// <summary>Takes one given frame, zeroed: for a guest that knows its frames and comes from elsewhere.</summary>
    /// <returns>False where somebody has it, or the machine has no such frame.</returns>
    public bool TryAllocateGiven(uint mfn)
    {
        lock (_lock)
        {
            bool free = _allocator.TryTakeGiven(mfn);
            _taken += free ? 1u : 0;
            return free;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (Base != null)
        {
            _file.Dispose();
            _allocator.Dispose();
            Base = null;
        }
    }
}

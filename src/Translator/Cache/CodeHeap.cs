using System.Numerics;
using System.Runtime.InteropServices;
using Dbt.Translator.Memory;

namespace Dbt.Translator.Cache;

/// <summary>Executable memory for <see cref="MachineCode"/>, one for the process. Thread-safe.</summary>
internal static unsafe class CodeHeap
{
    private const int Capacity = 512 << 20;
    private const int Alignment = 64;

    // Sizes are rounded up to one of eight classes for each power of two.
    private const int ClassBits = 3;

    private static readonly Lock Gate = new();
    private static readonly Dictionary<int, Stack<nint>> Free = [];
    private static readonly Dictionary<nint, (int Bytes, uint Entry)> Named = [];
    private static byte* _memory;
    private static int _used;
    private static bool _refused;

    /// <summary>Bytes handed out.</summary>
    public static long Used { get; private set; }

    /// <summary>Where all of it lies; a start of 0 where there is none.</summary>
    public static (nint Start, int Length) Range
    {
        get
        {
            lock (Gate)
            {
                return _memory != null || TryReserve() ? ((nint)_memory, Capacity) : default;
            }
        }
    }

    /// <summary>Memory for so many bytes of code; 0 where there is no more room.</summary>
    public static nint Allocate(int bytes)
    {
        int size = Round(bytes);
        lock (Gate)
        {
            if (_memory == null && !TryReserve())
            {
                return 0;
            }

            Used += size;
            if (Free.TryGetValue(size, out Stack<nint>? stack) && stack.TryPop(out nint address))
            {
                return address;
            }

            if (_used + size > Capacity)
            {
                Used -= size;
                return 0;
            }

            address = (nint)(_memory + _used);
            _used += size;
            return address;
        }
    }

    /// <summary>Gives memory back; nobody runs in it any more.</summary>
    public static void Release(nint address, int bytes)
    {
        int size = Round(bytes);
        lock (Gate)
        {
            Named.Remove(address);
            Used -= size;
            if (!Free.TryGetValue(size, out Stack<nint>? stack))
            {
                Free.Add(size, stack = new Stack<nint>());
            }

            stack.Push(address);
        }
    }

    /// <summary>Notes what code is of, for those who look from outside.</summary>
    /// <param name="address">Its first byte.</param>
    /// <param name="bytes">Its length.</param>
    /// <param name="entry">EIP at its entry.</param>
    /// <returns>False where that is known.</returns>
    public static bool Name(nint address, int bytes, uint entry)
    {
        lock (Gate)
        {
            ref (int, uint) named = ref CollectionsMarshal.GetValueRefOrAddDefault(Named, address, out bool known);
            named = (bytes, entry);
            return !known;
        }
    }

    /// <summary>All code whose <see cref="Name"/> is known.</summary>
    public static (nint Address, int Bytes, uint Entry)[] ListNamed()
    {
        lock (Gate)
        {
            return [.. Named.Select(static code => (code.Key, code.Value.Bytes, code.Value.Entry))];
        }
    }

    /// <summary>A host may allow no memory that is both writable and executable but to the runtime, or have little address space.</summary>
    private static bool TryReserve()
    {
        try
        {
            _memory = _refused ? null : HostMemory.Reserve(Capacity, executable: true);
        }
        catch (OutOfMemoryException)
        {
            _refused = true;
        }

        return _memory != null;
    }

    private static int Round(int bytes)
    {
        int step = Math.Max(Alignment, 1 << Math.Max(0, BitOperations.Log2((uint)Math.Max(bytes, 1)) - ClassBits));
        return (bytes + step - 1) / step * step;
    }
}

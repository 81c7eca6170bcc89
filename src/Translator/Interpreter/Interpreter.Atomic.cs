using System.Runtime.InteropServices;
using Dbt.Translator.State;

namespace Dbt.Translator.Interpretation;

// LOCK as host atomics. What one host atomic cannot reach (an operand across two pages, and on hosts other than x86 an unaligned one) is
// done under one lock for the whole process: such operands exclude each other, but not the aligned atomics of another processor, which no
// program relies upon (SDM vol. 3, 8.1.2.2 advises against both). So is what lies across two cache lines: the host would lock its bus, which
// slows down all that runs on it, and a host that watches for that (Linux' split_lock_detect) makes the thread wait, for minutes
// where several do it. A guest could neither be paused nor ended meanwhile.
internal sealed unsafe partial class Interpreter
{
    // Of every x86 processor that .NET runs on.
    private const int CacheLine = 64;

    private static readonly Lock SplitLock = new();
    private static readonly bool HostIsX86 = RuntimeInformation.ProcessArchitecture is Architecture.X64 or Architecture.X86;

    /// <summary>Whether an operand just opened for writing must be updated under the lock.</summary>
    public bool NeedsSplitLock(byte* pointer, int size) => WriteIsSplit
        || (HostIsX86 ? ((nuint)pointer & (CacheLine - 1)) > (nuint)(CacheLine - size) : ((nuint)pointer & (nuint)(size - 1)) != 0);

    /// <summary>Enters the lock for split operands.</summary>
    public static Lock.Scope EnterSplitLock() => SplitLock.EnterScope();

    /// <summary>Reads the bytes of a split operand again, under the lock.</summary>
    public void RefreshSplit()
    {
        if (_pending == 1)
        {
            byte* buffer = _scratch + WriteScratch;
            System.Runtime.CompilerServices.Unsafe.CopyBlockUnaligned(buffer, _pendingFirst, (uint)_pendingSplit);
            System.Runtime.CompilerServices.Unsafe.CopyBlockUnaligned(buffer + _pendingSplit, _pendingSecond, (uint)(_pendingSize - _pendingSplit));
        }
    }

    /// <summary>
    /// Ends the update of a split operand, under the lock. What doesn't change isn't written: a processor that spins on a lock across two lines must
    /// not undo the plain store by which another one gives it free.
    /// </summary>
    public void StoreSplit(CpuState* cpu, byte* pointer, int size, uint old, uint value)
    {
        if (((old ^ value) & Mask(size)) == 0)
        {
            AbandonWrite();
            return;
        }

        Store(pointer, size, value);
        Commit(cpu);
    }

    /// <summary>The same of eight bytes.</summary>
    public void StoreSplit8(CpuState* cpu, byte* pointer, ulong old, ulong value)
    {
        if (old == value)
        {
            AbandonWrite();
            return;
        }

        System.Runtime.CompilerServices.Unsafe.WriteUnaligned(pointer, value);
        Commit(cpu);
    }

    /// <summary>Compares and exchanges 1, 2 or 4 bytes atomically.</summary>
    /// <returns>The value before.</returns>
    public static uint CompareExchange(byte* pointer, int size, uint value, uint comparand) => size switch
    {
        4 => Interlocked.CompareExchange(ref *(uint*)pointer, value, comparand),
        1 => Interlocked.CompareExchange(ref *pointer, (byte)value, (byte)comparand),
        _ => Interlocked.CompareExchange(ref *(ushort*)pointer, (ushort)value, (ushort)comparand),
    };

    /// <summary>Exchanges 1, 2 or 4 bytes atomically.</summary>
    /// <returns>The value before.</returns>
    public static uint Exchange(byte* pointer, int size, uint value) => size switch
    {
        4 => Interlocked.Exchange(ref *(uint*)pointer, value),
        1 => Interlocked.Exchange(ref *pointer, (byte)value),
        _ => Interlocked.Exchange(ref *(ushort*)pointer, (ushort)value),
    };
}

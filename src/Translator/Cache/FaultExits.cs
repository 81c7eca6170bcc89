using System.Runtime.InteropServices;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Translator.Cache;

/// <summary>
/// Where translated code goes on that reached for a page which its <see cref="Memory.AddressWindow"/> doesn't have. The host's processor faults there, and a signal handler of ours, in machine code as it runs where no
/// managed code may, looks the instruction up in a table and leads the thread to the access' side exit. Every other SIGSEGV is left to whoever handled it before, the .NET runtime.
/// </summary>
internal static unsafe partial class FaultExits
{
    // x86-64 Linux: SIGSEGV; the size of struct sigaction in glibc and musl; RIP in ucontext_t.
    private const int SegmentationFault = 11;
    private const int ActionBytes = 152;
    private const int RipAt = 168;
    private const int CodeBytes = 4096;

    // An entry is the access' offset in the code heap, and above it its exit's. Offsets are below 2^29, and none is 0.
    private const int TableBits = 21, TableEntries = 1 << TableBits;
    private const int MostEntries = TableEntries / 4 * 3;
    private const uint Gone = uint.MaxValue;

    // Knuth's multiplicative hash.
    private const uint Multiplier = 2654435769;

    private static readonly Lock Gate = new();
    private static readonly Lazy<bool> Installed = new(Install);
    private static ulong* _table;
    private static nint _heap;
    private static int _taken;

    /// <summary>Whether translated code may rely on it. Installs the handler where that hasn't been done.</summary>
    public static bool IsSupported => Installed.Value;

    /// <summary>Tells of code's accesses before it runs.</summary>
    /// <param name="code">Its first byte, in the code heap.</param>
    /// <param name="accesses">The accesses.</param>
    /// <returns>False where there is no room; nothing has changed then.</returns>
    public static bool TryAdd(nint code, WindowAccess[] accesses)
    {
        if (!IsSupported)
        {
            return false;
        }

        lock (Gate)
        {
            if (_taken + accesses.Length > MostEntries)
            {
                return false;
            }

            foreach (WindowAccess access in accesses)
            {
                uint key = (uint)(code - _heap) + (uint)access.Offset;
                uint at = Hash(key);
                while ((uint)_table[at] is not (0 or Gone))
                {
                    at = (at + 1) & (TableEntries - 1);
                }

                _taken += _table[at] == 0 ? 1 : 0;
                Volatile.Write(ref _table[at], ((ulong)((uint)(code - _heap) + (uint)access.Exit) << 32) | key);
            }

            return true;
        }
    }

    /// <summary>Forgets code's accesses; nobody runs in it any more.</summary>
    public static void Remove(nint code, WindowAccess[] accesses)
    {
        if (accesses.Length == 0)
        {
            return;
        }

        lock (Gate)
        {
            foreach (WindowAccess access in accesses)
            {
                Remove((uint)(code - _heap) + (uint)access.Offset);
            }
        }
    }

    private static void Remove(uint key)
    {
        uint at = Hash(key);
        while ((uint)_table[at] is var found && found != key)
        {
            if (found == 0)
            {
                return;
            }

            at = (at + 1) & (TableEntries - 1);
        }

        // Others may lie behind it, which were put there because of it; where none do, nothing need stay.
        Volatile.Write(ref _table[at], Gone);
        if (_table[(at + 1) & (TableEntries - 1)] == 0)
        {
            for (; _table[at] == Gone; at = (at - 1) & (TableEntries - 1))
            {
                Volatile.Write(ref _table[at], 0);
                _taken--;
            }
        }
    }

    private static uint Hash(uint key) => (key * Multiplier) >> (32 - TableBits);

    private static bool Install()
    {
        if (!OperatingSystem.IsLinux() || RuntimeInformation.ProcessArchitecture != Architecture.X64 || CodeHeap.Range is not { Start: not 0 } heap)
        {
            return false;
        }

        byte* action = stackalloc byte[ActionBytes];
        if (Action(SegmentationFault, null, action) != 0 || *(nint*)action is 0 or 1)
        {
            return false;
        }

        _heap = heap.Start;
        _table = (ulong*)Memory.HostMemory.Reserve(TableEntries * sizeof(ulong));
        byte* code = Memory.HostMemory.Reserve(CodeBytes, executable: true);
        Write(code, heap, *(nint*)action);
        *(nint*)action = (nint)code;
        return Action(SegmentationFault, action, null) == 0;
    }

    /// <summary>Writes <c>void handler(int signal, siginfo_t*, ucontext_t*)</c>.</summary>
    private static void Write(byte* code, (nint Start, int Length) heap, nint next)
    {
        var a = new Assembler(64);
        Label search = a.CreateLabel(), found = a.CreateLabel(), other = a.CreateLabel();
        a.mov(rax, __qword_ptr[rdx + RipAt]);
        a.mov(r8, (long)heap.Start);
        a.sub(rax, r8);
        a.cmp(rax, heap.Length);
        a.jae(other);
        a.mov(r9, (long)_table);
        a.imul(ecx, eax, (int)(Multiplier - (1L << 32)));
        a.shr(ecx, 32 - TableBits);
        a.Label(ref search);
        a.mov(r10, __qword_ptr[r9 + (rcx * 8)]);
        a.cmp(r10d, eax);
        a.je(found);
        a.test(r10d, r10d);
        a.je(other);
        a.inc(ecx);
        a.and(ecx, TableEntries - 1);
        a.jmp(search);
        a.Label(ref found);
        a.shr(r10, 32);
        a.add(r10, r8);
        a.mov(__qword_ptr[rdx + RipAt], r10);
        a.ret();
        a.Label(ref other);
        a.mov(rax, (long)next);
        a.jmp(rax);
        using var stream = new MemoryStream();
        a.Assemble(new StreamCodeWriter(stream), (ulong)code);
        stream.ToArray().CopyTo(new Span<byte>(code, CodeBytes));
    }

    [LibraryImport("libc", EntryPoint = "sigaction", SetLastError = true)]
    private static partial int Action(int signal, byte* action, byte* previous);
}

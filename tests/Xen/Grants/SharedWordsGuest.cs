using Dbt.Perf;
using Dbt.Translator;
using Dbt.Xen;
using Dbt.Xen.Hypercalls;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Xen.Grants;

/// <summary>
/// One of two domains that hammer the same words of three adjacent pages with locked instructions. Each of them does the same number of rounds; what the words
/// must hold afterwards follows from that. What an instruction says of its own bits is compared at once: a difference is counted in <see cref="Errors"/>.
/// </summary>
internal sealed unsafe class SharedWordsGuest : SmallDomain
{
    /// <summary>The three pages, in both domains.</summary>
    public const uint Shared = 0x3C000;

    /// <summary>Where a counter of four bytes and one of eight lie: aligned, misaligned, across two cache lines, across the two pages.</summary>
    public static readonly uint[] Counters = [0x100, 0x111, 0x13E, 0xFFE];

    /// <summary>The same of eight bytes.</summary>
    public static readonly uint[] LongCounters = [0x200, 0x214, 0x23A, 0x8FC, 0x1FFA];

    private const uint Left = Data, ErrorCount = Data + 4, Bits = Shared + 0x300, MoreBits = Shared + 0x304, Spin = Shared + 0x340, Guarded = Shared + 0x380,
        Byte = Shared + 0x3C1, Word16 = Shared + 0x3C6;

    /// <param name="engine">How its code is executed.</param>
    /// <param name="hypervisor">The machine of both.</param>
    /// <param name="upper">Whether it has the upper sixteen bits of words that are shared by bits.</param>
    /// <param name="rounds">How often.</param>
    public SharedWordsGuest(EngineOptions engine, Hypervisor hypervisor, bool upper, uint rounds)
        : base(engine, hypervisor: hypervisor)
    {
        Word(Left) = rounds;
        Assemble(Code, c => Program(c, upper ? 16 : 0));
        Assemble(Code + 0x1000, c => Counting(c));
    }

    /// <summary>Results that weren't what only this domain could have made them.</summary>
    public uint Errors => Word(ErrorCount);

    /// <summary>The number behind <see cref="Guarded"/>: incremented plainly, within a lock of XCHG.</summary>
    public uint GuardedCount => Word(Guarded);

    /// <summary>Both words of bits; a round leaves them as they were.</summary>
    public (uint First, uint Second) BitWords => (Word(Bits), Word(MoreBits));

    /// <summary>The counters of one and two bytes.</summary>
    public (byte Byte, ushort Word) Small => (*At(Byte), *(ushort*)At(Word16));

    /// <summary>Four bytes at an offset of the shared pages, which may cross them.</summary>
    public uint Counter(uint offset) => (uint)Long(offset);

    /// <summary>Eight bytes at an offset of the shared pages, which may cross them.</summary>
    public ulong Long(uint offset)
    {
        ulong value = 0;
        for (uint i = 0; i < 8; i++)
        {
            value |= (ulong)*At(Shared + offset + i) << (8 * (int)i);
        }

        return value;
    }

    /// <summary>Grants the pages to another domain, by references from 8 on.</summary>
    public void GrantTo(Domain other)
    {
        for (uint i = 0; i < 3; i++)
        {
            Assert.True(Domain.Grants.TryGrantToBackend(8 + i, Frames[(Shared >> 12) + i]));
            uint* entry = (uint*)Hypervisor.Machine.Frame(Domain.Grants.TryGetFrame(0)) + ((8 + i) * 2);
            *entry = 1 | ((uint)other.Id << 16);
        }
    }

    /// <summary>Maps the granter's pages in place of its own.</summary>
    public void MapFrom(SharedWordsGuest granter)
    {
        for (uint i = 0; i < 3; i++)
        {
            // struct gnttab_map_grant_ref.
            uint at = Arguments;
            (Word(at), Word(at + 4), Word(at + 8), Word(at + 12), Word(at + 16)) = (Shared + (i << 12), 0, 2, 8 + i, granter.Domain.Id);
            Assert.Equal(0, HypercallDispatch.Call(Vcpu, 20, new HypercallArguments(0, at, 1, 0, 0, 0)));
            Assert.Equal(0u, Word(at + 16) >> 16);
            Frames[(Shared >> 12) + i] = granter.Frames[(Shared >> 12) + i];
        }
    }

    // A round: bits of our own are set, cleared, turned, each time with the answer that only we can have caused; then the counters.
    private static void Program(Assembler c, int bit)
    {
        Label round = c.CreateLabel(), spin = c.CreateLabel(), taken = c.CreateLabel();
        uint mine = 0xFFFFu << bit;
        c.Label(ref round);
        for (int i = 0; i < 3; i++)
        {
            c.mov(ecx, bit + (i * 7));
            Expect(c, () => c.@lock.bts(__dword_ptr[Bits], ecx), carry: false);
            Expect(c, () => c.@lock.btr(__dword_ptr[Bits], ecx), carry: true);
            Expect(c, () => c.@lock.btc(__dword_ptr[Bits], (byte)(bit + i)), carry: false);
            Expect(c, () => c.@lock.btc(__dword_ptr[Bits], (byte)(bit + i)), carry: true);
        }

        c.@lock.or(__dword_ptr[MoreBits], mine);
        c.mov(eax, __dword_ptr[MoreBits]);
        c.and(eax, (int)mine);
        Compare(c, mine);
        c.@lock.and(__dword_ptr[MoreBits], ~mine);
        c.mov(eax, __dword_ptr[MoreBits]);
        c.and(eax, (int)mine);
        Compare(c, 0);

        // A lock by XCHG, and a plain increment within it.
        c.Label(ref spin);
        c.mov(eax, 1);
        c.xchg(__dword_ptr[Spin], eax);
        c.test(eax, eax);
        c.je(taken);
        c.pause();
        c.jmp(spin);
        c.Label(ref taken);
        c.inc(__dword_ptr[Guarded]);
        c.mov(__dword_ptr[Spin], 0);

        c.mov(eax, Code + 0x1000);
        c.call(eax);
        c.dec(__dword_ptr[Left]);
        c.jne(round);
        PowerOff(c);
    }

    /// <summary>What a round adds to each counter of four bytes, and of eight.</summary>
    public const uint CounterStep = 1 + 3 + 5 - 1 + 1 + 7, LongStep = 1;

    private static void Counting(Assembler c)
    {
        c.@lock.inc(__byte_ptr[Byte]);
        c.@lock.add(__word_ptr[Word16], 3);
        foreach (uint counter in Counters)
        {
            uint at = Shared + counter;
            c.@lock.inc(__dword_ptr[at]);
            c.@lock.add(__dword_ptr[at], 3);
            c.mov(eax, 5);
            c.@lock.xadd(__dword_ptr[at], eax);
            c.@lock.dec(__dword_ptr[at]);
            c.@lock.sub(__dword_ptr[at], -1);
            Label again = c.CreateLabel();
            c.mov(eax, __dword_ptr[at]);
            c.Label(ref again);
            c.lea(ecx, __[eax + 7]);
            c.@lock.cmpxchg(__dword_ptr[at], ecx);
            c.jne(again);
        }

        foreach (uint counter in LongCounters)
        {
            uint at = Shared + counter;
            Label again = c.CreateLabel();
            c.mov(eax, __dword_ptr[at]);
            c.mov(edx, __dword_ptr[at + 4]);
            c.Label(ref again);
            c.mov(ebx, eax);
            c.mov(ecx, edx);
            c.add(ebx, 1);
            c.adc(ecx, 0);
            c.@lock.cmpxchg8b(__qword_ptr[at]);
            c.jne(again);
        }

        c.ret();
    }

    private static void Expect(Assembler c, Action instruction, bool carry)
    {
        Label good = c.CreateLabel();
        instruction();
        if (carry)
        {
            c.jc(good);
        }
        else
        {
            c.jnc(good);
        }

        c.inc(__dword_ptr[ErrorCount]);
        c.Label(ref good);
        c.nop();
    }

    private static void Compare(Assembler c, uint expected)
    {
        Label good = c.CreateLabel();
        c.cmp(eax, (int)expected);
        c.je(good);
        c.inc(__dword_ptr[ErrorCount]);
        c.Label(ref good);
        c.nop();
    }
}

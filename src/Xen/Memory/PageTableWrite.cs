using Dbt.Runtime.Memory;
using Dbt.Translator.Interpretation;
using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Xen.Memory;

/// <summary>
/// Emulation of a plain write to a page-table page that is mapped read-only (Xen's "ptwr"). The interpreter carries out the instruction,
/// whichever it is, on a copy of the page; what it changed there becomes page-table updates, all or none, under the page-table lock. So
/// no instruction needs decoding here, and none can write what an explicit update may not.
/// </summary>
internal sealed unsafe class PageTableWrite : IDisposable
{
    // What is compared at once; an instruction changes an entry or two.
    private const int EntriesPerLine = 32;

    private readonly Vcpu _vcpu;
    private readonly MachineMemory _machine;
    private readonly SingleInstruction _instruction;
    private readonly uint _copy;
    private uint _page;
    private bool _active;

    /// <param name="vcpu">The processor whose instructions are emulated.</param>
    /// <param name="copy">A frame of the machine's, nobody's, for the copy; it is given back on disposal.</param>
    public PageTableWrite(Vcpu vcpu, uint copy)
    {
        _vcpu = vcpu;
        _machine = vcpu.Domain.Hypervisor.Machine;
        _copy = copy;
        _instruction = new SingleInstruction(vcpu);
    }

    /// <summary>While an instruction is emulated: the copy, for what it writes to the page.</summary>
    public bool TryResolve(uint linear, MemoryAccess access, out byte* host)
    {
        host = _machine.Frame(_copy) + (linear & 0xFFF);
        return _active && access == MemoryAccess.Write && linear >> 12 == _page;
    }

    /// <summary>Emulates the instruction at EIP, whose write to <paramref name="linear"/> faulted. Under the page-table lock.</summary>
    /// <param name="linear">Linear address in the page.</param>
    /// <param name="table">The page's frame, an L1 or L2 table.</param>
    /// <returns>
    /// False where it isn't to be; <see cref="CpuState.Fault"/> is then what the guest is to get: the original fault, or one that the
    /// instruction met elsewhere.
    /// </returns>
    public bool TryEmulate(uint linear, uint table)
    {
        CpuState* cpu = _vcpu.State;
        Fault fault = cpu->Fault;
        Registers before = Registers.Of(cpu);
        byte* page = _machine.Frame(table);
        Buffer.MemoryCopy(page, _machine.Frame(_copy), 4096, 4096);
        _page = linear >> 12;
        _active = true;
        bool completed = _instruction.TryExecute(cpu);
        _active = false;
        if (completed && TryCommit(table))
        {
            return true;
        }

        before.Restore(cpu);
        if (completed)
        {
            cpu->Fault = fault;
        }

        return false;
    }

    public void Dispose()
    {
        _instruction.Dispose();
        _machine.Free(_copy);
    }

    private bool TryCommit(uint table)
    {
        var now = new ReadOnlySpan<ulong>(_machine.Frame(table), 512);
        var wanted = new ReadOnlySpan<ulong>(_machine.Frame(_copy), 512);
        Span<int> indexes = stackalloc int[8];
        Span<ulong> values = stackalloc ulong[8];
        int count = 0;
        for (int line = 0; line < 512; line += EntriesPerLine)
        {
            if (now.Slice(line, EntriesPerLine).SequenceEqual(wanted.Slice(line, EntriesPerLine)))
            {
                continue;
            }

            for (int at = line; at < line + EntriesPerLine; at++)
            {
                if (now[at] == wanted[at])
                {
                    continue;
                }

                if (count == indexes.Length)
                {
                    return false;
                }

                indexes[count] = at;
                values[count++] = wanted[at];
            }
        }

        PageTables tables = _vcpu.Domain.Memory.Tables;
        ushort owner = _vcpu.Domain.Id;
        if (count == 0)
        {
            return true;
        }

        if (count > 1)
        {
            return _vcpu.Domain.Memory.TypeOf(table) == PageType.L1 && tables.UpdateL1Together(table, indexes[..count], values[..count]) == 0;
        }

        if (tables.Update(table, indexes[0], values[0], preserveAccessed: false, owner) == 0)
        {
            return true;
        }

        // A guest that writes an entry's upper half first, while the entry is still present, gets it made absent, as in Xen: the lower
        // half follows at once.
        bool upperHalf = (uint)now[indexes[0]] == (uint)values[0];
        return upperHalf
            && tables.Update(table, indexes[0], values[0] & ~PageTableEntry.Present, preserveAccessed: false, owner) == 0;
    }

    /// <summary>What an instruction that writes memory may change besides.</summary>
    private struct Registers
    {
        private fixed uint _gpr[8];
        private uint _eip, _flagOp, _flagA, _flagB, _flagResult, _eflags;
        private int _shadow;
        private FxArea _fx;

        public static Registers Of(CpuState* cpu)
        {
            Registers saved = default;
            for (int i = 0; i < 8; i++)
            {
                saved._gpr[i] = cpu->Gpr[i];
            }

            (saved._eip, saved._flagOp, saved._flagA, saved._flagB) = (cpu->Eip, cpu->FlagOp, cpu->FlagA, cpu->FlagB);
            (saved._flagResult, saved._eflags, saved._shadow, saved._fx) = (cpu->FlagResult, cpu->Eflags, cpu->InterruptShadow, cpu->Fx);
            return saved;
        }

        public void Restore(CpuState* cpu)
        {
            for (int i = 0; i < 8; i++)
            {
                cpu->Gpr[i] = _gpr[i];
            }

            (cpu->Eip, cpu->FlagOp, cpu->FlagA, cpu->FlagB) = (_eip, _flagOp, _flagA, _flagB);
            (cpu->FlagResult, cpu->Eflags, cpu->InterruptShadow, cpu->Fx) = (_flagResult, _eflags, _shadow, _fx);
        }
    }
}

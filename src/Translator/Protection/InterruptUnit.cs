using Dbt.Translator.State;

namespace Dbt.Translator.Protection;

/// <summary>Exceptions and interrupts: what is taken when, and what a fault on the way to a handler becomes (SDM vol. 3, chapter 6).</summary>
internal sealed unsafe class InterruptUnit(SystemUnit system)
{
    // From a benign exception over a contributory one and a page fault to a double fault there are fewer steps than this.
    private const int MaxNested = 8;

    private readonly InterruptGates _gates = new(system);

    /// <summary>NMIs wait for IRET.</summary>
    public bool NmiBlocked { get; set; }

    /// <summary>After INIT or a reset.</summary>
    public void Reset() => NmiBlocked = false;

    /// <summary>Delivers the exception in <see cref="CpuState.Fault"/>.</summary>
    public void DeliverException(CpuState* cpu)
    {
        Fault fault = cpu->Fault;
        cpu->InterruptShadow = 0;
        for (int i = 0; i < MaxNested; i++)
        {
            if (fault.Vector == Vector.PageFault)
            {
                cpu->Cr2 = fault.Address;
            }

            // What is restarted must not meet the breakpoint on it again (SDM vol. 3, 17.3.1.1).
            uint flags = LazyFlags.Read(cpu);
            bool isFault = fault.Vector is not (Vector.Debug or Vector.Nmi or Vector.Breakpoint or Vector.Overflow or Vector.DoubleFault or Vector.MachineCheck);
            var entry = new Entry((int)fault.Vector, cpu->Eip, isFault ? flags | Flags.Rf : flags, fault.HasErrorCode ? fault.ErrorCode : null, 1);
            if (_gates.TryEnter(cpu, entry))
            {
                if (fault.Vector == Vector.Debug && (cpu->Dr[7] & Breakpoints.GeneralDetect) != 0)
                {
                    cpu->Dr[7] &= ~Breakpoints.GeneralDetect;
                }

                return;
            }

            Fault next = cpu->Fault;
            if (fault.Vector == Vector.DoubleFault)
            {
                break;
            }

            fault = IsDouble(fault.Vector, next.Vector) ? new Fault { Vector = Vector.DoubleFault } : next;
        }

        system.Owner.Stop(cpu, "triple fault");
    }

    /// <summary>INT n, INT3 and INTO.</summary>
    public void DeliverSoftware(CpuState* cpu, int vector, uint nextEip)
    {
        if (!_gates.TryEnter(cpu, new Entry(vector, nextEip, LazyFlags.Read(cpu), null, 0) { IsSoftware = true }))
        {
            DeliverException(cpu);
        }
    }

    /// <summary>Takes an NMI or an external interrupt, where there is one and the processor lets it in.</summary>
    public void TakeExternal(CpuState* cpu)
    {
        if (cpu->InterruptShadow != 0)
        {
            cpu->Attention = 1;
            return;
        }

        int vector = -1;
        if (!NmiBlocked && system.Owner.TakeNmi())
        {
            NmiBlocked = true;
            vector = (int)Vector.Nmi;
            cpu->InterruptWaits = system.Owner.HasInterrupt ? 1 : 0;
        }
        else if (!system.Owner.HasInterrupt)
        {
            cpu->InterruptWaits = 0;
        }
        else if ((cpu->Eflags & Flags.If) == 0)
        {
            cpu->InterruptWaits = 1;
        }
        else
        {
            vector = system.Owner.AcknowledgeInterrupt();
            cpu->InterruptWaits = system.Owner.HasInterrupt ? 1 : 0;
        }

        if (vector >= 0)
        {
            if (!_gates.TryEnter(cpu, new Entry(vector, cpu->Eip, LazyFlags.Read(cpu), null, 1)))
            {
                DeliverException(cpu);
            }
            else if ((cpu->Eflags & Flags.If) != 0 && cpu->InterruptWaits != 0)
            {
                cpu->Attention = 1; // through a trap gate: the next one comes at once
            }
        }
    }

    // SDM vol. 3, table 6-5.
    private static bool IsDouble(Vector first, Vector second) =>
        IsContributory(first) ? IsContributory(second)
        : first == Vector.PageFault && (second == Vector.PageFault || IsContributory(second));

    private static bool IsContributory(Vector vector) =>
        vector is Vector.DivideError or Vector.InvalidTss or Vector.SegmentNotPresent or Vector.StackFault or Vector.GeneralProtection;
}

/// <summary>An event on its way through the IDT.</summary>
/// <param name="Vector">0 to 255.</param>
/// <param name="Eip">What is pushed as EIP.</param>
/// <param name="Eflags">What is pushed as EFLAGS.</param>
/// <param name="ErrorCode">What is pushed last; null for nothing.</param>
/// <param name="External">The EXT bit of error codes that arise on the way.</param>
internal readonly record struct Entry(int Vector, uint Eip, uint Eflags, uint? ErrorCode, uint External)
{
    /// <summary>INT n, INT3, INTO: the gate's privilege is checked.</summary>
    public bool IsSoftware { get; init; }
}

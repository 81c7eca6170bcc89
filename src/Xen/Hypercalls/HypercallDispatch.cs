using Dbt.Translator.Diagnostics;
using Dbt.Translator.State;
using Dbt.Xen.Abi;

namespace Dbt.Xen.Hypercalls;

/// <summary>From INT 0x82 in ring 1, or VMCALL in ring 0, to a row of <see cref="HypercallTable"/>, and back.</summary>
internal static unsafe class HypercallDispatch
{
    /// <summary>Carries out the hypercall that the registers describe; EIP still names the instruction.</summary>
    public static void Enter(Vcpu vcpu, uint nextEip)
    {
        CpuState* cpu = vcpu.State;
        uint* registers = cpu->Gpr;
        uint instruction = cpu->Eip;
        var arguments = new HypercallArguments(
            registers[(int)Gpr.Ebx],
            registers[(int)Gpr.Ecx],
            registers[(int)Gpr.Edx],
            registers[(int)Gpr.Esi],
            registers[(int)Gpr.Edi],
            registers[(int)Gpr.Ebp]);
        cpu->InterruptShadow = 0;
        cpu->Eip = nextEip;
        vcpu.InHypercall = true;
        int doing = cpu->Doing;
        cpu->Doing = (int)ProcessorActivity.Hypercall | ((int)registers[(int)Gpr.Eax] << 8);
        int result = Call(vcpu, registers[(int)Gpr.Eax], arguments);
        cpu->Doing = doing;
        vcpu.InHypercall = false;
        if (vcpu.Continuation is { } again)
        {
            // To be issued again after whatever waits for the processor: the instruction is left to be executed once more.
            vcpu.Continuation = null;
            cpu->Eip = instruction;
            registers[(int)Gpr.Ebx] = again.A1;
            registers[(int)Gpr.Ecx] = again.A2;
            registers[(int)Gpr.Edx] = again.A3;
            registers[(int)Gpr.Esi] = again.A4;
            registers[(int)Gpr.Edi] = again.A5;
            registers[(int)Gpr.Ebp] = again.A6;
            return;
        }

        registers[(int)Gpr.Eax] = (uint)result;
    }

    /// <summary>Carries out one hypercall, from a register call or a multicall's entry.</summary>
    public static int Call(Vcpu vcpu, uint number, in HypercallArguments arguments)
    {
        if (number >= Layout.MaxHypercalls)
        {
            vcpu.Domain.Log.AddOnce($"hypercall number {number:x} does not exist");
            return -Errno.ENOSYS;
        }

        vcpu.Hypercalls.Add(number);
        if (HypercallTable.Rows[(int)number] is not { } row || (vcpu.Hvm is not null && !row.Translated))
        {
            vcpu.Domain.Log.AddOnce($"hypercall {HypercallNames.Of((int)number)} is not implemented");
            return -Errno.ENOSYS;
        }

        int result = row.Handler(vcpu, arguments);
        if (result == -Errno.ENOSYS)
        {
            vcpu.Domain.Log.AddOnce(row.Handler == Refused.NotImplemented
                ? $"hypercall {row.Name} is not implemented"
                : $"hypercall {row.Name}: {HypercallNames.OfCommand(row.Number, arguments.A1)} is not implemented");
        }

        return result;
    }
}

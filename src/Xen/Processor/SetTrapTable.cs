using System.Runtime.InteropServices;
using Dbt.Xen.Abi;
using Dbt.Xen.Hypercalls;
using Dbt.Xen.Memory;

namespace Dbt.Xen.Processor;

/// <summary>HYPERVISOR_set_trap_table (public/arch-x86/xen.h): adds entries to the virtual IDT, or clears it.</summary>
internal static unsafe class SetTrapTable
{
    /// <summary>struct trap_info of i386.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct TrapInfo
    {
        public byte Vector, Flags;
        public ushort Selector;
        public uint Address;
    }

    /// <summary>EBX list of trap_info, ended by one with address 0; a null pointer clears the table.</summary>
    public static int Call(Vcpu vcpu, in HypercallArguments arguments)
    {
        if (arguments.A1 == 0)
        {
            vcpu.Traps.Clear();
            return 0;
        }

        for (uint at = arguments.A1; ; at += (uint)sizeof(TrapInfo))
        {
            if (at != arguments.A1 && vcpu.State->Attention != 0)
            {
                vcpu.Continuation = arguments with { A1 = at };
                return 0;
            }

            if (!GuestAccess.TryRead(vcpu, at, out TrapInfo info))
            {
                return -Errno.EFAULT;
            }

            if (info.Address == 0)
            {
                return 0;
            }

            vcpu.Traps[info.Vector] = new TrapEntry(info.Flags, info.Selector, info.Address);
        }
    }
}

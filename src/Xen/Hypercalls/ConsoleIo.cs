using Dbt.Xen.Abi;
using Dbt.Xen.Memory;

namespace Dbt.Xen.Hypercalls;

/// <summary>
/// HYPERVISOR_console_io (public/xen.h): early output of small kernels. It goes to the domain's log and to
/// <see cref="Domain.EmergencyConsole"/>; there is never anything to read.
/// </summary>
internal static unsafe class ConsoleIo
{
    private const uint Write = 0, Read = 1;
    private const int Chunk = 128;

    /// <summary>EBX command, ECX count, EDX buffer.</summary>
    public static int Call(Vcpu vcpu, in HypercallArguments arguments)
    {
        if (arguments.A1 == Read)
        {
            return arguments.A2 > int.MaxValue ? -Errno.E2BIG : 0;
        }

        if (arguments.A1 != Write)
        {
            return -Errno.ENOSYS;
        }

        uint left = arguments.A2, at = arguments.A3;
        Span<byte> buffer = stackalloc byte[Chunk];
        while (left != 0)
        {
            Span<byte> part = buffer[..(int)Math.Min(left, Chunk)];
            if (!GuestAccess.TryRead(vcpu, at, part))
            {
                return -Errno.EFAULT;
            }

            vcpu.Domain.ConsoleLine.Add(part, vcpu.Domain.Log);
            vcpu.Domain.EmergencyConsole?.Invoke(part);
            at += (uint)part.Length;
            left -= (uint)part.Length;
            if (left != 0 && vcpu.State->Attention != 0)
            {
                vcpu.Continuation = arguments with { A2 = left, A3 = at };
                return 0;
            }
        }

        return 0;
    }
}

using Dbt.Xen.Abi;

namespace Dbt.Xen.Processor;

/// <summary>The hypercall page: 32 bytes a hypercall, so that a guest calls page + number * 32 and needs to know no vector.</summary>
public static unsafe class HypercallPage
{
    private const int EntrySize = 32, Iret = 23;

    /// <summary>Writes the page of an auto-translated guest: each entry is a VMCALL, and iret isn't for it.</summary>
    /// <param name="page">Host address of the frame.</param>
    public static void FillNative(byte* page)
    {
        new Span<byte>(page, Layout.PageSize).Fill(0xCC);
        for (int number = 0; number < Layout.MaxHypercalls; number++)
        {
            if (number != Iret)
            {
                // mov eax, number; vmcall; ret
                byte* at = page + (number * EntrySize);
                *at++ = 0xB8;
                *(uint*)at = (uint)number;
                at += 4;
                *at++ = 0x0F;
                *at++ = 0x01;
                *at++ = 0xC1;
                *at = 0xC3;
            }
        }
    }

    /// <summary>Writes the page's contents; all of its bytes. The caller tells the code map where the page may hold code.</summary>
    /// <param name="page">Host address of the frame.</param>
    public static void Fill(byte* page)
    {
        // What no entry uses traps.
        new Span<byte>(page, Layout.PageSize).Fill(0xCC);
        for (int number = 0; number < Layout.MaxHypercalls; number++)
        {
            byte* at = page + (number * EntrySize);
            bool iret = number == Iret;
            if (iret)
            {
                // push eax: the iret hypercall finds EAX on the stack, and doesn't come back.
                *at++ = 0x50;
            }

            // mov eax, number; int 0x82; ret
            *at++ = 0xB8;
            *(uint*)at = (uint)number;
            at += 4;
            *at++ = 0xCD;
            *at++ = Layout.HypercallVector;
            if (!iret)
            {
                *at = 0xC3;
            }
        }
    }
}

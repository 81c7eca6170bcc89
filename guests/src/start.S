/* Entry, notes for the domain builder, hypercalls, and the way into and out of the kernel. */
#define __ASSEMBLY__
#include "abi.h"

        .section .note.Xen, "a", @note
.macro NOTE type, body:vararg
        .balign 4
        .long 4, 2f - 1f, \type
        .asciz "Xen"
1:      \body
2:      .balign 4
.endm
        NOTE 6, .asciz "dbt-guest"
        NOTE 7, .asciz "1"
        NOTE 5, .asciz "xen-3.0"
        NOTE 8, .asciz "generic"
        NOTE 1, .long _start
        NOTE 2, .long hypercall_page
        NOTE 3, .long VIRT_BASE
        NOTE 4, .long 0
        NOTE 9, .asciz "yes"
        NOTE 10, .asciz "pae_pgdir_above_4gb"
        NOTE 12, .long HYPERVISOR_START
        NOTE 13, .quad 1, 1
        NOTE 14, .long 1

        .text
        .globl _start, hypercall_page
_start:
        cld
        movl $boot_stack_top, %esp
        xorl %ebp, %ebp
        pushl %ebp                      /* ends a stack trace */
        pushl %esi                      /* start_info */
        call kernel_main
        ud2

        .balign PAGE_SIZE
hypercall_page:                         /* filled in by the domain builder, 32 bytes a number */
        .fill PAGE_SIZE, 1, 0x90

/* int hypercall(number, ...): six arguments are loaded whatever the number of them. */
        .globl hypercall, hypercall_int82
.macro LOAD_ARGUMENTS
        pushl %ebp
        pushl %edi
        pushl %esi
        pushl %ebx
        movl 20(%esp), %eax
        movl 24(%esp), %ebx
        movl 28(%esp), %ecx
        movl 32(%esp), %edx
        movl 36(%esp), %esi
        movl 40(%esp), %edi
        movl 44(%esp), %ebp
.endm
.macro RETURN
        popl %ebx
        popl %esi
        popl %edi
        popl %ebp
        ret
.endm
hypercall:
        LOAD_ARGUMENTS
        shll $5, %eax
        addl $hypercall_page, %eax
        call *%eax
        RETURN
hypercall_int82:
        LOAD_ARGUMENTS
        int $0x82
        RETURN

/*
 * int enter_user(eip, esp): down to ring 3. Traps from there start on the trap stack, so this stack stays
 * as it is until exit_user(code) comes back to it.
 */
        .globl enter_user, exit_user
enter_user:
        pushl %ebp
        pushl %edi
        pushl %esi
        pushl %ebx
        movl 20(%esp), %eax
        movl 24(%esp), %ecx
        movl %esp, resume_esp
        pushl $USER_DS
        pushl %ecx
        pushl $0x202
        pushl $USER_CS
        pushl %eax
        movl $USER_DS, %eax
        movl %eax, %ds
        movl %eax, %es
        xorl %eax, %eax
        xorl %ebx, %ebx
        xorl %ecx, %ecx
        xorl %edx, %edx
        xorl %esi, %esi
        xorl %edi, %edi
        xorl %ebp, %ebp
        cmpl $0, %ss:native_iret
        jne 1f
        jmp hypercall_page + HC_iret * 32
1:      iret
exit_user:
        movl 4(%esp), %eax
        movl resume_esp, %esp
        RETURN

/* void iret_hypercall(frame): the frame (eip, cs, eflags [, esp, ss]) is used where it lies. */
        .globl iret_hypercall
iret_hypercall:
        movl 4(%esp), %esp
        jmp hypercall_page + HC_iret * 32

/* One stub a vector, 16 bytes each. The processor pushes an error code for some. */
        .globl trap_stubs, upcall_entry, failsafe_entry
        .balign 16
trap_stubs:
vector = 0
.rept 256
        .balign 16
.if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17)
        pushl $0
.endif
        pushl $vector
        jmp trap_common
vector = vector + 1
.endr
        .balign 16
upcall_entry:
        pushl $0
        pushl $0x100
        jmp trap_common
failsafe_entry:
        addl $16, %esp                  /* ds, es, fs, gs that could not be loaded */
        pushl $0
        pushl $0x101
trap_common:
        pusha
        pushl %ds
        pushl %es
        movl $KERNEL_DS, %eax
        movl %eax, %ds
        movl %eax, %es
        cld
        pushl %esp
        call trap_handler
        addl $4, %esp
        popl %es
        popl %ds
        popa
        addl $8, %esp
        jmp hypercall_page + HC_iret * 32   /* pops eip, cs, eflags and the event mask at once */

        .section .rodata
        .globl user_blob, user_blob_end
        .balign 4
user_blob:
        .incbin "user.bin"
user_blob_end:

        .bss
        .balign PAGE_SIZE
        .fill 4 * PAGE_SIZE, 1, 0
boot_stack_top:
        .fill 2 * PAGE_SIZE, 1, 0
        .globl trap_stack_top
trap_stack_top:
resume_esp:
        .long 0
        .globl native_iret
native_iret:
        .long 0
        .section .note.GNU-stack, "", @progbits

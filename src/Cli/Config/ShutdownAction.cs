namespace Dbt.Cli.Config;

/// <summary>What is done when a guest stops (xl.cfg, on_*).</summary>
internal enum ShutdownAction
{
    Destroy,
    Restart,
    RenameRestart,
    Preserve,
    CoredumpDestroy,
    CoredumpRestart,
    SoftReset,
}

/// <summary>The on_* keys.</summary>
internal sealed record ShutdownActions
{
    public ShutdownAction Poweroff { get; init; } = ShutdownAction.Destroy;

    public ShutdownAction Reboot { get; init; } = ShutdownAction.Restart;

    public ShutdownAction Crash { get; init; } = ShutdownAction.Destroy;

    public ShutdownAction Watchdog { get; init; } = ShutdownAction.Destroy;

    public ShutdownAction SoftReset { get; init; } = ShutdownAction.SoftReset;

    /// <summary>The action of xl's word for it; null for another word.</summary>
    public static ShutdownAction? Parse(string word) => word switch
    {
        "destroy" => ShutdownAction.Destroy,
        "restart" => ShutdownAction.Restart,
        "rename-restart" => ShutdownAction.RenameRestart,
        "preserve" => ShutdownAction.Preserve,
        "coredump-destroy" => ShutdownAction.CoredumpDestroy,
        "coredump-restart" => ShutdownAction.CoredumpRestart,
        "soft-reset" => ShutdownAction.SoftReset,
        _ => null,
    };
}
